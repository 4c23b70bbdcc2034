"""What reads inputs, source by source: from bytes or a record to events or a refusal, as a connector does it, without its disk and Kafka."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from bus.errors import TransientError
from bus.events.codec import Codec
from bus.events.nik import contains_nik, contains_phone
from bus.ingest.delivery import Derivation, Derived
from bus.ingest.formats.opening import open_records
from bus.ingest.kinds import FilesSpec
from bus.ingest.kinds.http_paging import first_params, page_of
from bus.ingest.kinds.http_spec import ByNumber, HttpSpec
from bus.ingest.kinds.mqtt import received
from bus.ingest.kinds.mqtt_session import Arrived
from bus.ingest.kinds.mqtt_spec import MqttSpec
from bus.ingest.kinds.webhook_bodies import EVENT, EVENTS, LINES, PLAIN, Unreadable, posted
from bus.ingest.kinds.webhook_spec import WebhookSpec
from bus.ingest.manifest import Agency
from bus.ingest.messages import describe, describe_record
from bus.ingest.privacy.door import sample_door
from bus.ingest.rows import Rows
from bus.ingest.source import FileRefused, RawRecord, Reason
from bus.ingest.stamp import Stamp
from bus.ingest.stream import Received
from bus.simulation.story import Telling
from bus.simulation.systems.form import FileForm, as_json
from bus.simulation.systems.sensors import message_of
from tests.fuzz.mutations import NIK, PHONE, changed, hurt

_AT = datetime(2026, 3, 31, tzinfo=UTC)

#: By itself: what stands within a longer number is another number.
_A_NIK = re.compile(rf"(?<![0-9]){NIK}(?![0-9])")


@dataclass
class Tally:
    """What the inputs came to; every one is in it once: told, unchanged, refused as a record, or refused as a whole."""

    counts: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)

    def refused(self, reason: Reason, *, whole: bool = False) -> None:
        """Take note of a refusal, and that it explains itself in both languages without repeating an identifier."""
        self.counts["whole refused" if whole else "refused"] += 1
        self.rules[reason.rule] += 1
        assert reason.rule != "mapping_failed", f"the mapping failed with {reason.shape}"
        for said in (describe(reason, file="masukan.csv", line=7), describe_record(reason, 7)):
            for text in said:
                assert len(text) > 20, f"{reason} says nothing: {text!r}"
                assert NIK not in text, f"{text!r} repeats a NIK"
                assert PHONE not in text, f"{text!r} repeats a telephone number"
                assert not contains_nik(text), f"{text!r} holds what looks like a NIK"
                assert not contains_phone(text), f"{text!r} holds what looks like a telephone number"

    def turned_away(self, status: int, why: str) -> None:
        """Take note of what came at once and cannot be read as a whole; the sender is told why, without what it held."""
        self.counts["whole refused"] += 1
        assert 400 <= status < 500
        assert len(why) > 10
        assert NIK not in why

    def derived(self, derived: Derived, codec: Codec) -> None:
        """Take note of what a record came to: events that can be read again, and in which no raw identifier is; or a refusal."""
        if derived.reason is not None:
            assert not derived.events
            self.refused(derived.reason)
            return
        self.counts["told" if derived.events else "unchanged"] += 1
        for encoded in derived.events:
            said = str(codec.decode(encoded.value, encoded.headers))
            assert not _A_NIK.search(said), "an event holds a NIK"


@dataclass(frozen=True)
class Target:
    """One source of one agency, and records that its system tells when all goes well."""

    agency: Agency
    source: str
    codec: Codec = field(repr=False)
    tellings: Sequence[Telling] = field(repr=False)
    form: FileForm | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        return f"{self.agency.id}/{self.source}"

    @property
    def kind(self) -> str:
        return str(self.agency.manifest.sources[self.source].type)

    def record(self, chance: Random, tally: Tally) -> None:
        """One record, changed; of those that come as text, sometimes hurt in its bytes."""
        record = as_json(chance.choice(self.tellings).record)
        record = {name: str(value) for name, value in record.items()} if self.form is not None else record
        mutated = changed(chance, record)
        if self.form is not None:
            mutated = {name: value if isinstance(value, str) else json.dumps(value) for name, value in mutated.items()}
        raw = json.dumps(mutated, ensure_ascii=False)
        tally.derived(self._derivation().record(RawRecord(1, raw, mutated)), self.codec)

    def whole(self, chance: Random, tally: Tally) -> None:
        """What comes at once, hurt in its bytes: a file, a post, an answer, a message. A database gives rows only."""
        spec = self.agency.manifest.sources[self.source]
        match spec:
            case FilesSpec():
                self._file(spec, chance, tally)
            case WebhookSpec():
                self._post(spec, chance, tally)
            case HttpSpec():
                self._answer(spec, chance, tally)
            case MqttSpec():
                self._message(spec, chance, tally)
            case _:
                self.record(chance, tally)

    def _file(self, spec: FilesSpec, chance: Random, tally: Tally) -> None:
        assert self.form is not None
        name, content = self._made(chance)
        try:
            for item in open_records(io.BytesIO(hurt(chance, content)), spec, name=name, encoding=self.form.encoding):
                tally.derived(self._derivation().record(item), self.codec)
        except FileRefused as error:
            tally.refused(Reason.of(error), whole=True)
        tally.counts["whole"] += 1

    def _made(self, chance: Random) -> tuple[str, bytes]:
        assert self.form is not None
        first = chance.choice(self.tellings)
        name = self.form.name_of(first.at, first.record)
        alike = [
            each for each in chance.sample(self.tellings, min(3, len(self.tellings))) if self.form.name_of(first.at, each.record) == name
        ]
        return name, self.form.content([first.record, *(each.record for each in alike if each is not first)])

    def _post(self, spec: WebhookSpec, chance: Random, tally: Tally) -> None:
        records = [as_json(each.record) for each in chance.choices(self.tellings, k=chance.randint(1, 3))]
        media = chance.choice((PLAIN, PLAIN, LINES[0], EVENT, EVENTS, "text/csv", ""))
        events = [{"specversion": "1.0", "id": str(n), "source": "/x", "type": "x", "data": each} for n, each in enumerate(records)]
        document: object = {EVENT: events[0], EVENTS: events}.get(media, records)
        body = "\n".join(map(json.dumps, records)) if media in LINES else json.dumps(document, ensure_ascii=False)
        tally.counts["whole"] += 1
        try:
            found = posted(spec, {"content-type": media}, hurt(chance, body.encode()), most=100)
        except Unreadable as error:
            tally.turned_away(error.status, str(error))
            return
        self._received(found.records, tally)

    def _answer(self, spec: HttpSpec, chance: Random, tally: Tally) -> None:
        records = [as_json(each.record) for each in chance.choices(self.tellings, k=chance.randint(1, 3))]
        document: Any = records
        for part in reversed(spec.records.split(".") if spec.records else []):
            document = {part: document}
        if isinstance(spec.page, ByNumber) and spec.page.last and isinstance(document, dict):
            head, _, leaf = spec.page.last.partition(".")
            document[head] = {leaf: 3} if leaf else 3
        tally.counts["whole"] += 1
        try:
            page = page_of(spec, hurt(chance, json.dumps(document).encode()), asked=first_params(spec), next_link="")
        except TransientError as error:  # asked again: an answer that broke off says nothing of a record
            tally.turned_away(400, str(error))
            return
        self._received(page.records, tally)

    def _message(self, spec: MqttSpec, chance: Random, tally: Tally) -> None:
        topic, payload = message_of(spec, chance.choice(self.tellings))
        tally.counts["whole"] += 1
        found = received(spec, Arrived(topic, hurt(chance, payload), 1, 1, again=False, retained=False), _AT.isoformat())
        assert found is not None
        self._received([found], tally)

    def _received(self, records: Iterable[Received], tally: Tally) -> None:
        for each in records:
            if each.problem is not None:
                tally.refused(each.problem)
            elif not each.deleted:
                tally.derived(self._derivation().record(RawRecord(1, each.raw or json.dumps(each.values), each.values)), self.codec)

    def _derivation(self) -> Derivation:
        spec, meaning = self.agency.manifest.sources[self.source], self.agency.meaning(self.source)
        stamp = Stamp(f"{self.agency.id}/{self.source}", 1, _AT)
        return Derivation(
            stamp=stamp, meaning=meaning, codec=self.codec, declared=self.agency.manifest.events, key=spec.key, table=False, rows=Rows(),
            door=sample_door(),
        )  # fmt: skip
