"""What the parts of one source's connector share."""

from __future__ import annotations

from dataclasses import dataclass, field

from bus.clock import Clock
from bus.events.codec import Codec
from bus.ingest.delivery import Derivation, Derived
from bus.ingest.formats.opening import shown
from bus.ingest.formats.records import RecordFile
from bus.ingest.kinds import FilesSpec, SourceSpec
from bus.ingest.manifest import Agency, Meaning
from bus.ingest.privacy.door import Door, NoKeys
from bus.ingest.quarantine import Place, RawText, refusal
from bus.ingest.rows import Rows
from bus.ingest.seal import Sealer
from bus.ingest.stamp import Stamp
from bus.kafka.ports import Message, Publisher, SnapshotStore
from bus.settings import IngestSettings


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What the parts of one source's connector share."""

    agency: Agency
    source_id: str
    meaning: Meaning
    codec: Codec
    publisher: Publisher
    snapshots: SnapshotStore
    sealer: Sealer
    clock: Clock
    ingest: IngestSettings = field(default_factory=IngestSettings)
    door: Door = field(default_factory=lambda: Door(NoKeys()))

    @property
    def spec(self) -> SourceSpec:
        return self.agency.manifest.sources[self.source_id]

    @property
    def files(self) -> FilesSpec:
        """The same, of a source that reads files."""
        assert isinstance(self.spec, FilesSpec)
        return self.spec

    def wait_seconds(self, poll_seconds: float) -> float:
        """How long a system is left alone that its manifest has asked every `poll_seconds`."""
        return min(poll_seconds, self.ingest.longest_poll_seconds)

    @property
    def name(self) -> str:
        return self.agency.source_name(self.source_id)

    @property
    def rows_unit(self) -> str:
        """The unit under which the rows' snapshots are kept."""
        return f"rows/{self.name}"

    def derivation(self, stamp: Stamp, rows: Rows) -> Derivation:
        """A derivation of this source's records; a replayed one compares with nothing and cancels nothing."""
        table = isinstance(self.spec, FilesSpec) and self.spec.kind == "table" and stamp.replayed_line is None
        declared = self.agency.manifest.events
        return Derivation(
            stamp=stamp, meaning=self.meaning, codec=self.codec, declared=declared, key=self.spec.key, table=table, rows=rows, door=self.door
        )  # fmt: skip

    def refusal(self, delivery: int, derived: Derived, *, file: str, read: RecordFile | None = None) -> list[Message]:
        """The quarantine records of a refused record, which `read` (of a source of files) gave just now."""
        assert derived.reason is not None
        line = derived.line
        raw = RawText((), ",", derived.raw)
        if read is not None:
            file, line = shown(file, read.part), derived.line - read.base
            raw = RawText(tuple(read.header), read.delimiter, derived.raw, read.extra)
        place = Place(self.name, delivery, derived.line)
        return refusal(
            self.agency.id, place, derived.reason, file=file, line=line, raw=raw.encode() if derived.raw else None, sealer=self.sealer,
            at=self.clock.now().isoformat(),
        )  # fmt: skip
