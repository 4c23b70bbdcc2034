"""Nothing of a person leaves a connector, by whatever way: events, states, quarantine, logs, metrics; and what is erased cannot be read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from bus.clock import SystemClock
from bus.errors import ConfigurationError
from bus.events.personal import ERASED, is_pseudonym
from bus.indicators.batch import Batch
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.loader import load_indicators
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import export_rows
from bus.indicators.partial import encode
from bus.ingest.privacy.keys import AgencyKeys, agency_keys
from bus.ingest.stream import Reading, Received
from bus.kafka.topics import AUDIT
from bus.metrics import REGISTRY
from bus.ops.audit import Audit, State
from bus.ops.erasure import erase
from bus.testing.scanner import Hit, Scanner
from tests.pipeline.clinic import clinic
from tests.pipeline.ingest_world import World
from tests.pipeline.stream_world import Told

TYPE = "klinik.visit.recorded.v1"
HEADER = "nik,tanggal,kk,nama,hp,alamat,catatan,jk"
NIKS = [f"33091212039900{number:02}" for number in range(1, 30)]
NAMES = ["Budi Santoso", "Siti Nurhaliza", "Wahyu Tri Utomo"]
KNOWN = [*NAMES, "Jl. Merbabu 3", "081234567890", "0009010503990001", *NIKS]

GOOD = [
    f"{NIKS[0]},2026-01-05,{NIKS[20]},Budi Santoso,081234567890,Jl. Merbabu 3,kontrol,L",
    f"{NIKS[1]},2026-01-05,,SITI NURHALIZA,+62 812-3456-7891,Jl. Merbabu 3,demam,P",
    f"{NIKS[1]},2026-01-09,,Siti  Nurhaliza,,Jl. Merbabu 3,kontrol,P",
]
#: What is refused, each for another reason, with something of a person in every place.
BAD = [
    f"{NIKS[2]},2026-01-05,,Budi Santoso,,Jl. Merbabu 3,hubungi 0812-3456-7890,L",
    f"{NIKS[3]},2026-01-05,,Budi Santoso,,Jl. Merbabu 3,rujukan {NIKS[4]},L",
    f"{NIKS[5]},2026-01-05,,Budi Santoso,,Jl. Merbabu 3,\u200b{chr(0x200B).join(NIKS[6])},L",
    f"{NIKS[7]},2026-01-05,{NIKS[8][:15]},Budi Santoso,,Jl. Merbabu 3,x,L",
    f"{NIKS[9]},2026-01-05,,{NIKS[10]},,Jl. Merbabu 3,x,L",
    f"{NIKS[11]},{NIKS[12]},,Budi Santoso,,Jl. Merbabu 3,x,L",
    f"{NIKS[13]},2026-01-05,,Budi Santoso,Wahyu Tri Utomo,Jl. Merbabu 3,x,L",
    f"{NIKS[14]},2026-01-05,,Budi Santoso,,Jl. Merbabu 3,x,081234567890",
    f"{NIKS[15]},2026-01-05,,Budi Santoso,,Jl. Merbabu 3,x,3309 1212 0399 0001",
    f"{NIKS[16]},2026-01-05,,Budi Santoso",
    "0009010503990001,2026-01-05,,Budi Santoso,,Jl. Merbabu 3,x,L",
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    connectors, schemas = clinic(tmp_path)
    yield World(tmp_path, roots=[connectors], schemas=[schemas], agency="klinik")
    for name in [name for name in sys.modules if name.startswith("connectors.klinik")]:
        del sys.modules[name]


def scanner(world: World) -> Scanner:
    return Scanner(KNOWN, codec=world.codec)


def hits(world: World, logs: object = ()) -> list[Hit]:
    """What the scanner finds in everything that the connector has left."""
    look = scanner(world)
    found = [
        hit
        for topic, partitions in world.log.topics.items()
        for partition in range(partitions)
        for hit in look.records(topic, world.log.records(topic, partition))
    ]
    return [*found, *look.text("logs", repr(logs)), *look.metrics(generate_latest(REGISTRY).decode())]


def keys_of(world: World) -> AgencyKeys:
    return agency_keys(world.agency, world.settings, SystemClock())


async def test_no_identifier_leaves_a_connector_of_files(world: World) -> None:
    world.put(f"kunjungan {NIKS[17]}.csv", *GOOD, *BAD, header=HEADER)
    world.put("2.csv", GOOD[0], GOOD[1].replace("demam", "batuk"), header=HEADER)
    world.put(f"{NIKS[18]}.csv", "x", header=f"nik,{NIKS[19]}")
    with capture_logs() as logs:
        await world.run()
    assert len(await world.quarantine()) == len(BAD) + 1
    # a line without a readable key makes all that was known doubtful: it is said again
    assert [str(envelope.op) for envelope in world.envelopes()] == ["CREATE"] * 3 + ["CORRECT"] * 2 + ["CANCEL"]
    assert hits(world, logs) == []
    people = {str(envelope.event.data["person"]) for envelope in world.envelopes()}
    assert len(people) == 2
    assert all(map(is_pseudonym, people))


async def test_no_identifier_leaves_a_connector_of_readings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names = HEADER.split(",")
    records = [
        Received(dict(zip(names, line.split(","), strict=False)), id=f"e{number}") for number, line in enumerate([*GOOD, *BAD, GOOD[0]])
    ]
    records.append(Received({"nik": NIKS[1], "tanggal": "2026-01-09"}, deleted=True))
    monkeypatch.setattr("bus.ingest.stream_runner.reader_of", Told([Reading(records)]))
    world.environ["BUS_KLINIK__BASE_URL"] = "http://127.0.0.1:1"
    with capture_logs() as logs:
        await world.run(folder=world.folder)
    assert [str(envelope.op) for envelope in world.envelopes()] == ["CREATE", "CREATE", "CREATE", "CANCEL"]
    assert hits(world, logs) == []
    journal = (world.settings.data_dir / "journal" / "klinik" / "posted.db").read_bytes()
    assert not [raw for raw in (*NIKS, "Merbabu", "Santoso", "SANTOSO") if raw.encode() in journal]


async def test_what_is_replayed_goes_through_the_door_too(world: World) -> None:
    world.put("1.csv", BAD[0], BAD[7], header=HEADER)
    await world.run()
    mapping = world.roots[0] / "klinik" / "mapping.py"
    mapping.write_text(mapping.read_text().replace('"note": row.catatan', '"note": ""').replace("sex(row.jk, ", 'sex("L", '))
    del sys.modules["connectors.klinik.mapping"]
    assert [each.resolved for each in await world.replay()] == [True, True]
    assert [envelope.event.subject.partition("/")[2] for envelope in world.envelopes()] == ["2026-01-05"] * 2
    assert hits(world) == []


async def test_the_simulations_identifiers_pass_only_in_a_simulation(world: World) -> None:
    world.put("1.csv", BAD[-1], header=HEADER)
    await world.run()
    assert [entry.reason["rule"] for entry in await world.quarantine()] == ["simulated"]
    world.environ["BUS_SIMULATION"] = "1"
    world.put("2.csv", BAD[-1], GOOD[0], header=HEADER)
    await world.run()
    assert len(world.envelopes()) == 2


async def test_what_is_known_of_the_pipeline_is_found_when_it_is_there(world: World) -> None:
    """The scanner finds each kind in each place, or its silence above would say nothing."""
    look = scanner(world)
    for text in ("NIK 3309 1212 0399 0001", "hp 0812-3456-7890", "sdr. BUDI  SANTOSO", "jl merbabu 3", "budi_santoso@x.id"):
        assert list(look.text("log", f"a {text} b"))
    assert list(look.value("x", {"a": [{"b": 3309121203990001}]}))
    assert list(look.value("x", {"3309121203990001": 1}))
    assert not list(look.text("log", "2026-01-05 12:30:11 hmac:" + "ab" * 16 + " sealed:" + "Ab1_" * 20))


def counts(world: World) -> list[tuple[str, str]]:
    """The indicator's values over everything in the log."""
    indicators = load_indicators([world.roots[0].parent / "schemas"], world.codec.catalogue)
    (indicator,) = indicators.values()
    assert isinstance(indicator, Indicator)
    merge, records = MergeUnit.new(0), []
    for partition in range(4):
        unit = FoldUnit.new(indicator, indicator.topic, partition, 4)
        log = [record for record in world.log.records(indicator.topic, partition) if world.envelope(record) is not None]
        partials = [unit.full_partial()]
        if log:
            frame = world.codec.decode_batch(TYPE, [record.value or b"" for record in log], [record.offset for record in log])
            partials += [partial for partial in [unit.apply(Batch(frame, log[0].offset, log[-1].offset))] if partial is not None]
        records += [record for partial in partials for record in encode(partial)]
    header, rows = export_rows(list({output.key(): output for output in merge.apply(list(enumerate(records)))}.values()))
    return sorted((row[header.index("sex")], row[header.index("value")]) for row in rows)


async def test_an_erased_subject_cannot_be_read_and_every_number_stays(world: World) -> None:
    world.log.create(AUDIT)
    world.put("1.csv", *GOOD, header=HEADER)
    await world.run()
    before, keys = counts(world), keys_of(world)
    elsewhere, nobodys = AgencyKeys("klinik", "klinik", world.settings.data_dir / "elsewhere", {}), Audit(world.log, world.log, world.clock)
    with pytest.raises(ConfigurationError, match="knows no such subject"):
        await erase("klinik", elsewhere, world.codec.catalogue[TYPE], "x", reason="x", audit=nobodys)
    assert not (world.settings.data_dir / "elsewhere").exists()
    assert before == [("L", "1"), ("P", "1")]
    siti = [envelope for envelope in world.envelopes() if envelope.event.data["sex"] == "P"]
    sealed = {envelope.event.subject: str(envelope.event.data["address"]) for envelope in siti}
    assert {keys.vault.open(TYPE, subject, "address", text) for subject, text in sealed.items()} == {"Jl. Merbabu 3"}
    person, audit = str(siti[0].event.data["person"]), Audit(world.log, world.log, world.clock, who="sari")
    event = world.codec.catalogue[TYPE]
    for subject, reason in ((f"{NIKS[1]}/*", "x"), ("nobody", "x"), (f"{person}/*", f"permohonan {NIKS[1]}")):
        with pytest.raises(ConfigurationError):
            await erase("klinik", keys, event, subject, reason=reason, audit=audit)
    erased = await erase("klinik", keys, event, f"{person}/*", reason="permohonan 12/2026", audit=audit)
    assert sorted(erased) == sorted(sealed)
    assert await erase("klinik", keys, event, f"{person}/*", reason="permohonan 12/2026", audit=audit) == []
    deeds = await audit.deeds("erase", f"klinik/{TYPE}/{person}/*")
    assert [(deed.state, deed.who) for deed in deeds] == [(State.BEGUN, "sari"), (State.DONE, "sari")] * 2
    fresh = keys_of(world)
    assert {fresh.vault.open(TYPE, subject, "address", text) for subject, text in sealed.items()} == {None}
    # said again by the agency: it stays erased, and nobody is counted twice or lost
    world.put("2.csv", *(line.replace("kontrol", "pulang") for line in GOOD), header=HEADER)
    await world.run()
    newest = {envelope.event.subject: envelope.event.data["address"] for envelope in world.envelopes()}
    assert {subject for subject, text in newest.items() if text == ERASED} == set(sealed)
    assert counts(world) == before
    assert hits(world) == []
