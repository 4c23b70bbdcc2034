"""Mutated inputs of every source: no crash, no hang, nothing lost, every refusal explained, no identifier repeated."""

from __future__ import annotations

import time
import zlib
from datetime import date
from functools import cache
from random import Random

import pytest

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.ingest.kinds import FilesSpec
from bus.ingest.kinds.pgoutput import UNCHANGED, Column, Delete, Insert, Malformed, Message, Relation, Update, decode
from bus.ingest.manifest import discover
from bus.settings import ROOT, Settings
from bus.simulation.faults import Rates
from bus.simulation.world import Plan, file_form, made
from tests.fuzz.mutations import hurt
from tests.fuzz.targets import Tally, Target
from tests.live.campaign import seeds, sized
from tests.unit.ingest.test_pgoutput import encode

pytestmark = [pytest.mark.soak, pytest.mark.timeout(sized(300, 7200))]

#: Changed records, and hurt files, posts, answers and messages, of each source; with 41 sources a million and more in all in `make soak`.
RECORDS, WHOLES = sized(60, 22_000), sized(15, 3_000)
#: One input takes a thousandth of this.
_HANGS_SECONDS = 5.0
_SOURCES = [
    f"{agency.id}/{source}" for agency in discover(Settings().connector_roots()).values() for source in agency.manifest.sources
]  # fmt: skip


@cache
def targets() -> dict[str, Target]:
    agencies = discover(Settings().connector_roots())
    world = made(agencies, ROOT / "schemas" / "reference", Plan(date(2026, 1, 5), days=30, seed=11, scale=0.001, rates=Rates.none()))
    codec = Codec(Catalogue.load(Settings().schemas_roots()))
    return {
        f"{agency.id}/{source}": Target(
            agency, source, codec,
            [told.telling for told in world.told if (told.agency, told.telling.source) == (agency.id, source) and not told.telling.gone],
            file_form(agency, source) if isinstance(spec, FilesSpec) else None,
        )
        for agency in agencies.values()
        for source, spec in agency.manifest.sources.items()
    }  # fmt: skip


@pytest.mark.parametrize("seed", seeds(1, 1))
@pytest.mark.parametrize("source", _SOURCES)
def test_no_input_hurts(source: str, seed: int) -> None:
    target, tally = targets()[source], Tally()
    assert target.tellings, "the made-up regency says nothing of it"
    for what, number in ((target.record, RECORDS), (target.whole, WHOLES)):
        for turn in range(number):
            chance = Random(f"{source} {what.__name__} {seed} {turn}")
            begun = time.monotonic()
            try:
                what(chance, tally)
            except Exception as error:
                raise AssertionError(f"{what.__name__} {turn} of seed {seed}: {type(error).__name__}: {error}") from error
            assert time.monotonic() - begun < _HANGS_SECONDS, f"{what.__name__} {turn} of seed {seed} took too long"
    assert tally.counts["refused"] > RECORDS // 20, f"hardly anything is refused: {tally}"
    came_to = tally.counts["told"] + tally.counts["unchanged"] + tally.counts["refused"] + tally.counts["whole refused"]
    assert came_to >= RECORDS, f"of {RECORDS} records {came_to} are accounted for"


@pytest.mark.parametrize("seed", seeds(1, 1))
def test_no_bytes_of_a_replication_stream_hurt(seed: int) -> None:
    values = ("1", "kunjungan", None, UNCHANGED, "2026-01-05 08:00:00+07", "x" * 300)
    columns = tuple(Column(f"kolom_{number}", 25, key=number == 0) for number in range(6))
    messages: list[Message] = [
        Relation(7, "public", "kunjungan", "d", columns),
        Insert(7, values),
        Update(7, values, values, True),
        Delete(7, values, False),
    ]
    refused = 0
    for turn in range(sized(3_000, 100_000)):
        chance = Random(zlib.crc32(f"{seed} {turn}".encode()))
        try:
            decode(hurt(chance, encode(chance.choice(messages))))
        except Malformed as error:
            refused += len(str(error)) > 10
    assert refused
