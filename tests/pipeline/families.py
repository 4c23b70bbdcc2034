"""Small worlds of everything that merge does beyond adding up: stocks, closings, roll-ups, composites, registers; and what is right in them.

Events, indicators and the oracle are those of `tests.model`; an indicator of its own is a composite of a composite. The histories are
told by hand, so that a fault at each effect stays affordable: each event is there for a reason.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bus.events.envelope import Op
from bus.indicators.compose import AnyIndicator
from bus.indicators.loader import load_indicators
from bus.indicators.reference_files import load_reference, load_references
from tests.model.histories import FIELDS, Beat, Fact, Published, entries, history, publish
from tests.model.model import Model
from tests.model.times import JAKARTA, window_before
from tests.model.views import Published as Row
from tests.model.views import Rows
from tests.model.worlds import CATALOGUE, MODEL, OVERLAY, REPORTERS, ROOTS
from tests.pipeline.scenes import Scene

CASE, READING = "uji.case.recorded.v1", "uji.reading.recorded.v1"
SIAK, MCD = "uji.siak.recorded.v1", "uji.mcd.recorded.v1"
FAMILY = Path(__file__).parent / "overlay_family"

#: indicator -> (old, new): what its file says otherwise.
Edits = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Definitions:
    """Some indicators as their files say, with edits: for the engine, and for the model."""

    names: tuple[str, ...]
    edits: Edits = field(default_factory=dict)

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """The files."""
        found = {}
        for name in self.names:
            path = next(root / "schemas" / "indicators" / f"{name}.toml" for root in (FAMILY, OVERLAY) if _has(root, name))
            old, new = self.edits.get(name, ("", ""))
            text = path.read_text(encoding="utf-8")
            assert old in text, f"{name} does not say {old!r}"
            # what the examples say is true of the file as it is
            found[name] = text.partition("\n[[examples]]")[0].replace(old, new) + "\n"
        return found

    @cached_property
    def loaded(self) -> Mapping[str, AnyIndicator]:
        """As a worker has them."""
        wilayah, problems = load_reference(OVERLAY.parent / "reference" / "wilayah.toml")
        assert wilayah is not None, problems
        with TemporaryDirectory() as folder:
            files = Path(folder) / "indicators"
            files.mkdir()
            for name, text in self.texts.items():
                (files / f"{name}.toml").write_text(text, encoding="utf-8")
            return load_indicators([Path(folder)], CATALOGUE, {**load_references(ROOTS), "wilayah": wilayah}, reporters=REPORTERS)

    @cached_property
    def model(self) -> Model:
        """As the model has them."""
        return replace(MODEL, indicators={name: tomllib.loads(text) for name, text in self.texts.items()})

    def expected(self, published: Sequence[Published]) -> Mapping[str, Rows]:
        """What every indicator must show in the end."""
        log = entries(published)
        return {
            name: self._grown(log) if name == "uji.growth" else self.model.rows(name, log)
            for name, each in self.loaded.items()
            if shown(each)
        }

    def _grown(self, log: Any) -> Rows:
        """A change of a sum: of rows that the model gives."""
        total = self.model.rows("uji.total", log)
        rows = {}
        for (start, dims), now in total.items():
            then = total.get((window_before(start, "1d"), dims))
            if then is not None:
                value = now.numerator / now.denominator - then.numerator / then.denominator
                rows[start, dims] = Row(value, value, Fraction(1), now.n + then.n, 0, 0, 0, 0, 0, 0, now.status, None)
        return rows


def shown(indicator: AnyIndicator) -> bool:
    """Whether an indicator has rows of its own."""
    return indicator.kind != "register"


@dataclass(frozen=True)
class World:
    """Indicators over event types, what they were before (the same, unless a definition changes in mid-life), and a history by hand."""

    types: tuple[str, ...]
    now: Definitions
    before: Definitions
    told: tuple[Published, ...]
    between: Definitions | None = None

    @cached_property
    def scene(self) -> Scene:
        """For lives."""
        between = None if self.between is None else self.between.loaded
        return Scene(CATALOGUE, self.types, self.now.loaded, self.before.loaded, publish, between)

    def seeded(self, seed: int) -> list[Published]:
        """A generated history, the same for the same seed: of few subjects and days."""
        choose = random.Random(seed).choice
        return history(choose, self.types, size=range(12, 28), instants=(_at(1, 9), _at(1, 20), _at(2), _at(3, 12), _at(12)), subjects=2)


def _has(root: Path, name: str) -> bool:
    return (root / "schemas" / "indicators" / f"{name}.toml").is_file()


def _at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=JAKARTA).astimezone(UTC)


class _Teller:
    """Writes a history down; each source counts its own events."""

    def __init__(self) -> None:
        self.told: list[Published] = []
        self._counts: dict[str, int] = {}

    def say(self, kind: str, subject: str, version: int, at: datetime, op: Op = Op.CREATE, *, source: str = "uji/a", **data: Any) -> None:
        """`version` is multiplied as ingest does it, so that withdrawals have room."""
        number = self._counts[source] = self._counts.get(source, -1) + 1
        whole = dict.fromkeys(FIELDS[kind]) | data
        self.told.append(Fact(kind, source, number, subject, 256 * version, op, at, whole))

    def withdraw(self, undone: int, again: int | None = None) -> None:
        """Take an event back, by its place in the history; what the one at `again` said stands again."""
        fact, former = self.told[undone], self.told[undone if again is None else again]
        assert isinstance(fact, Fact)
        assert isinstance(former, Fact)
        source = "bus/withdraw/uji-1"
        number = self._counts[source] = self._counts.get(source, -1) + 1
        op = Op.CANCEL if again is None else Op.CORRECT
        self.told.append(replace(former, source=source, sequence=number, version=fact.version + 1, op=op))

    def again(self, *places: int) -> None:
        """A publisher that resumed: these events of the history once more."""
        self.told += [self.told[place] for place in places]

    def beat(self, kind: str, at: datetime) -> None:
        """A heartbeat into each partition."""
        self.told += [Beat(kind, "uji/b", number, at) for number in range(2)]

    def done(self) -> tuple[Published, ...]:
        return tuple(self.told)


def _stocks() -> tuple[Published, ...]:
    tell = _Teller()
    tell.say(CASE, "s1", 1, _at(1, 9), place="selo", amount=5, kode_wilayah="33.09.01.2001")
    tell.say(CASE, "s4", 1, _at(1, 9), place="selo", amount=7, kode_wilayah="33.09.01.2002")
    tell.say(CASE, "s1", 3, _at(3, 12), Op.CORRECT, place="selo", amount=6, kode_wilayah="33.09.01.2002")  # moves within its kecamatan
    tell.say(CASE, "s4", 2, _at(9), Op.CANCEL)
    tell.again(0, 1)
    # it revises the closings from its day on; version 2 stands until version 3
    tell.say(CASE, "s1", 2, _at(2), Op.CORRECT, source="uji/b", place="ampel", amount=2, kode_wilayah="33.09.02.2004")
    tell.say(CASE, "s2", 1, _at(2, 9), place="selo", amount=1, kode_wilayah="99.99.99.9999")  # no such region: quarantine
    tell.say(CASE, "s5", 1, _at(2, 9), source="uji/b", place="selo", amount=3, kode_wilayah="33.09.01.2001")  # late
    tell.withdraw(1)
    tell.say(CASE, "s1", 4, _at(2), Op.CORRECT, source="uji/b", place="ampel", amount=9, kode_wilayah="33.09.02.2004")  # covers 2 and 3
    tell.say(CASE, "s1", 3, _at(1), Op.CORRECT, source="uji/c", place="selo", amount=100)  # a version that is there: nothing
    tell.beat(CASE, _at(6))
    return tell.done()


def _composites() -> tuple[Published, ...]:
    tell = _Teller()
    tell.say(CASE, "s1", 1, _at(1, 9), place="selo", amount=5)
    tell.say(READING, "r1", 1, _at(1, 9), source="uji/p", place="selo", amount=2, post="p1")
    tell.say(READING, "r4", 1, _at(2, 9), source="uji/p", place="selo", amount=4, post="p2")
    tell.say(CASE, "s4", 1, _at(1, 20), place="ampel", amount=5)  # equal to Selo's: the alphabet decides
    tell.say(CASE, "s2", 1, _at(2, 9), place="selo", amount=-3)
    tell.say(CASE, "s1", 2, _at(2, 9), Op.CORRECT, place="ampel", amount=9)  # from one day and place to another
    tell.say(READING, "r2", 1, _at(12), source="uji/p", place="cepogo", amount=1, post="p1")
    tell.beat(READING, _at(12))
    tell.say(READING, "r3", 1, _at(1, 20), source="uji/q", place="ampel", amount=1, post="p3")  # late
    tell.again(1, 2)
    tell.withdraw(3)
    tell.say(CASE, "s5", 1, _at(12), place="selo", amount=0)
    tell.beat(CASE, _at(12))
    tell.say(CASE, "s3", 1, _at(1, 9), source="uji/b", place="selo", amount=8)  # late
    return tell.done()


def _closings() -> tuple[Published, ...]:
    tell = _Teller()
    tell.say(CASE, "s1", 1, _at(1, 9), place="selo", urgent=True, amount=1)
    tell.say(CASE, "s4", 1, _at(1, 9), place="selo", urgent=True)
    tell.say(CASE, "s2", 1, _at(2, 9), place="ampel", urgent=True)  # Selo still stands first
    tell.say(CASE, "s5", 1, _at(4, 9), source="uji/b", place="selo", amount=0)  # only one of two parts changes
    tell.say(CASE, "s1", 2, _at(6), Op.CORRECT, place="selo", urgent=False)
    tell.say(CASE, "s4", 2, _at(6), Op.CANCEL)
    tell.again(0, 1)
    tell.say(CASE, "s5", 2, _at(9), Op.CANCEL, source="uji/b")  # Selo is empty
    tell.beat(CASE, _at(6))
    tell.say(CASE, "s3", 1, _at(1), source="uji/b", place="ampel", amount=2)  # late: all later rows are others
    tell.withdraw(3)
    tell.say(CASE, "s2", 3, _at(3), Op.CORRECT, place="selo", urgent=True, amount=4)
    tell.beat(CASE, _at(12))
    return tell.done()


def _registers() -> tuple[Published, ...]:
    tell = _Teller()
    one, two = "33.09.01.2001", "33.09.02.2004"
    tell.say(SIAK, "a", 1, _at(1), person="ani", alive=True, kode_wilayah=one)
    tell.say(MCD, "a", 1, _at(1), source="uji/m", person="ani", alive=True, kode_wilayah=two)  # alike: where somebody lives is no field
    tell.say(SIAK, "d", 1, _at(1), person="budi", kode_wilayah=one)
    tell.say(MCD, "c", 1, _at(1), source="uji/m", person="citra", kode_wilayah=two)
    tell.say(MCD, "d", 1, _at(1), source="uji/m", person="ani", kode_wilayah=one)  # conflicting
    tell.say(SIAK, "a", 2, _at(2), Op.CANCEL)  # only_right
    tell.say(MCD, "d", 2, _at(2), Op.CORRECT, source="uji/m", person="budi", kode_wilayah=two)  # matched
    tell.say(MCD, "e", 1, _at(2), source="uji/m", person="eka", alive=False, kode_wilayah="33.09.01.2002")  # in no register
    tell.again(0, 2)
    tell.say(MCD, "c", 2, _at(3), Op.CORRECT, source="uji/m", person="citra", alive=False, kode_wilayah=two)  # not any more
    tell.say(SIAK, "f", 1, _at(1), source="uji/s", person=None, kode_wilayah=None)  # no region: quarantine
    tell.say(MCD, "g", 1, _at(1), source="uji/m", person="gita", kode_wilayah=two)
    tell.withdraw(5, again=0)
    tell.say(SIAK, "h", 1, _at(1), person="hadi", kode_wilayah=one)
    return tell.done()


_FLOW = ("uji.part_in", "uji.part_out", "uji.share", "uji.change", "uji.top_places", "uji.total", "uji.growth")
_STOCKS = Definitions(("uji.region_now", "uji.region_daily", "uji.daily_mean", "uji.case_count"))
_COMPOSITES = Definitions(_FLOW)
_CLOSINGS = Definitions(
    ("uji.stand_open", "uji.stand_paid", "uji.stand_sum", "uji.stand_gap", "uji.stand_change", "uji.stand_growth", "uji.stand_top",
     "uji.stand_top_sum", "uji.stand_new", "uji.stand_pressure")
)  # fmt: skip
_REGISTERS = Definitions(("uji.register_siak", "uji.register_mcd", "uji.reconciled"))
_EVENT = 'event = "uji.case.recorded.v1"'
#: Version 2 leaves out what is below zero: a row of its own, and rows of composites over it, are withdrawn.
_LATER = Definitions(_FLOW, {"uji.part_in": (_EVENT, f'version = 2\n{_EVENT}\nwhere = "amount >= 0"')})
#: Both parts at once: for a while the composites over them wait.
_BOTH = Definitions(
    _FLOW, {**_LATER.edits, "uji.part_out": ('by = ["place"]', 'by = ["place"]\nversion = 2\nwhere = "place <> \'cepogo\'"')}
)
#: The new parts are followed from the beginning when the files of most composites are not there yet.
_BOTH_FEWER = Definitions(("uji.part_in", "uji.part_out", "uji.share"), _BOTH.edits)
#: Composites are new over leaves that stay as they are.
_FEWER = Definitions(("uji.part_in", "uji.part_out", "uji.share"))
#: Version 1 counted the dead too.
_WITH_DEAD = Definitions(_REGISTERS.names, {"uji.register_mcd": ('where = "alive IS NOT FALSE"', "")})
_ALIVE = Definitions(_REGISTERS.names, {"uji.register_mcd": ("where =", "version = 2\nwhere =")})

WORLDS: Mapping[str, World] = {
    "stocks": World((CASE,), _STOCKS, _STOCKS, _stocks()),
    "composites": World((CASE, READING), _COMPOSITES, _COMPOSITES, _composites()),
    "closings": World((CASE,), _CLOSINGS, _CLOSINGS, _closings()),
    "registers": World((SIAK, MCD), _REGISTERS, _REGISTERS, _registers()),
    "new part": World((CASE, READING), _LATER, _COMPOSITES, _composites()),
    "new parts": World((CASE, READING), _BOTH, _COMPOSITES, _composites(), _BOTH_FEWER),
    "new composites": World((CASE, READING), _COMPOSITES, _FEWER, _composites()),
    "new register": World((SIAK, MCD), _ALIVE, _WITH_DEAD, _registers()),
}
