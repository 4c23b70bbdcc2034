"""What people wrote to an agency about its numbers, and answering it: read from the log, posted to the agency's own source of answers.

Answers go in by the ingress like any other record, so that they are exactly once by the same rules: an answer is known by its letter, what it
says and the answer that it takes the place of. Stopped anywhere the command is run again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from bus.clock import Clock
from bus.errors import BusError, ConfigurationError, Problem, TransientError
from bus.events.codec import Codec
from bus.events.envelope import Op
from bus.events.free_text import personal_in
from bus.ingest.kinds.json_records import digest
from bus.ingest.manifest import FeedbackSpec
from bus.ingest.privacy.keys import AgencyKeys
from bus.kafka.ports import LogReader, TopicPartition
from bus.kafka.topics import EVENTS_PREFIX
from bus.ops.audit import Audit, State

ACTION = "feedback"
OUTCOMES = ("DIPERBAIKI", "DIJELASKAN", "TIDAK_DITERIMA")
_SECONDS = 30.0

#: Opens the sealed text of a letter: (event type, subject, field, sealed) -> the text, or None where the key is not here.
OpenText = Callable[[str, str, str, str], str | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it stands; `version` orders those of one letter."""

    outcome: str
    text: str
    at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Letter:
    """What somebody wrote. `text` is None where its key is not on this machine or was destroyed."""

    number: str
    received_at: datetime
    about: str
    agency: str
    kind: str
    text: str | None
    answer: Answer | None


def opener(keys: AgencyKeys) -> OpenText:
    """Opens with the keys of this machine; never makes any."""
    return keys.vault.open if keys.has_vault else (lambda *_sealed: None)


async def letters(reader: LogReader, codec: Codec, spec: FeedbackSpec, open_text: OpenText) -> Mapping[str, Letter]:
    """All letters that stand, by number, the oldest first, with their answers."""
    answers = {
        subject: Answer(str(fields["outcome"]), str(fields["answer"]), fields["occurred_at"], int(fields["version"]))
        for subject, fields in (await _standing(reader, codec, spec.answered)).items()
    }
    found = [
        Letter(
            subject, fields["occurred_at"], str(fields["about"]), str(fields["agency"]), str(fields["kind"]),
            open_text(spec.received, subject, "text", str(fields["text"])), answers.get(subject),
        )
        for subject, fields in (await _standing(reader, codec, spec.received)).items()
    ]  # fmt: skip
    return {each.number: each for each in sorted(found, key=lambda letter: (letter.received_at, letter.number))}


async def _standing(reader: LogReader, codec: Codec, event_type: str) -> Mapping[str, dict[str, Any]]:
    """The newest state of each subject that is not cancelled."""
    newest: dict[str, dict[str, Any]] = {}
    async for fields in _events(reader, codec, EVENTS_PREFIX + event_type):
        known = newest.get(fields["subject"])
        if known is None or fields["version"] > known["version"]:
            newest[fields["subject"]] = fields
    return {subject: fields for subject, fields in newest.items() if fields["op"] != Op.CANCEL}


async def _events(reader: LogReader, codec: Codec, topic: str) -> AsyncIterator[dict[str, Any]]:
    for number in range(await reader.partitions(topic)):
        partition = TopicPartition(topic, number)
        async for batch in reader.read(partition, await reader.beginning(partition), await reader.end(partition)):
            for record in batch:
                if record.value is not None:
                    yield codec.decode(record.value, record.headers)


@dataclass(frozen=True, slots=True)
class Counter:
    """Where answers are handed in: the address of the source at the ingress, and the key that it takes."""

    url: str
    key: str = ""


async def answer(letter: Letter, outcome: str, text: str, *, counter: Counter, audit: Audit, clock: Clock) -> bool:
    """Give the letter this answer, or mend the one it has; False when it has exactly this one. Durable when it returns.

    Raises `ConfigurationError` for an outcome that does not exist and a text that names a person, `TransientError` when the ingress does not
    answer, `BusError` when it refuses. In the audit it is begun before and done after.
    """
    text = " ".join(text.split())
    _check(outcome, text)
    before = letter.answer
    if before is not None and (before.outcome, before.text) == (outcome, text):
        if [deed.state for deed in await audit.deeds(ACTION, letter.number)][-1:] == [State.BEGUN]:
            await audit.note(ACTION, letter.number, State.DONE, reason=outcome)
        return False
    record = {
        "nomor": letter.number, "tentang": letter.about, "jenis": letter.kind, "diterima": letter.received_at.isoformat(),
        "waktu": (before.at if before is not None else clock.now()).isoformat(), "hasil": outcome, "jawaban": text,
    }  # fmt: skip
    await audit.note(ACTION, letter.number, State.BEGUN, reason=outcome)
    await _post(counter, record, digest(letter.number, outcome, text, str(before.version if before is not None else "")))
    await audit.note(ACTION, letter.number, State.DONE, reason=outcome)
    return True


def _check(outcome: str, text: str) -> None:
    problems = []
    if outcome not in OUTCOMES:
        problems.append(Problem("--outcome", f"{outcome!r}; allowed: {', '.join(OUTCOMES)}"))
    if found := personal_in(text):
        problems.append(Problem("--text", f"holds personal data ({found}), and an answer is public; allowed: a text without"))
    if problems:
        raise ConfigurationError(problems)


async def _post(counter: Counter, record: Mapping[str, str], id_: str) -> None:
    async with httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False, trust_env=False) as client:
        try:
            said = await client.post(counter.url, json=record, headers={"X-Api-Key": counter.key, "Idempotency-Key": id_})
        except httpx.HTTPError as error:
            what = f"{counter.url} does not answer ({type(error).__name__}): do the connectors run? Run the command again"
            raise TransientError(what) from error
    if said.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        errors = said.json()["records"][0]["errors"]
        raise BusError("; ".join(str(each["message_en"]) for each in errors))
    if said.status_code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
        raise TransientError(f"{counter.url} is busy ({said.status_code}); run the command again")
    if said.status_code != httpx.codes.ACCEPTED:
        raise BusError(f"{counter.url} answered {said.status_code} {said.reason_phrase}")
