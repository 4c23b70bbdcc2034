"""After a key was replaced a person is told of once, whatever is killed; and a source that still gives the old type stands still."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bus.clock import SystemClock
from bus.errors import ConfigurationError, FatalError, TransientError
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec, envelope_of
from bus.events.envelope import Envelope, Op
from bus.events.withdrawal import source_of as withdrawal_of
from bus.ingest.manifest import Agency, discover
from bus.ingest.privacy.fields import Nik, PersonName
from bus.ingest.privacy.keys import AgencyKeys, agency_keys
from bus.kafka.ports import Message
from bus.kafka.topics import AUDIT
from bus.ops.audit import Audit
from bus.ops.pseudonyms import Given, mapping_schema, pairs_of, publish, source_of
from bus.ops.withdrawal import plan_withdrawal, withdraw
from bus.settings import ROOT
from bus.testing.clock import ManualClock
from bus.testing.memory import MemoryLog
from bus.testing.scaffold.pseudonyms import add_mapping_type, holders
from bus.testing.scanner import Scanner
from tests.pipeline.clinic import clinic
from tests.pipeline.ingest_world import Crash, World

TYPE = "klinik.pseudonym.mapped.v1"
TOPIC = f"events.{TYPE}"
NIKS = [f"33091212039900{number:02}" for number in range(1, 41)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    connectors, schemas = clinic(tmp_path)
    yield World(tmp_path, roots=[connectors], schemas=[schemas], agency="klinik")
    for name in [name for name in sys.modules if name.startswith("connectors.klinik")]:
        del sys.modules[name]


class Clinic:
    """The clinic with a replaced key: its mapping type, and a log."""

    def __init__(self, world: World) -> None:
        self.before = agency_keys(world.agency, world.settings, SystemClock())
        self.before.pseudonym_key()
        add_mapping_type(world.agency)
        self.agency: Agency = discover(world.roots)["klinik"]
        self.codec = Codec(Catalogue.load([world.roots[0].parent / "schemas"]))
        self.schema = mapping_schema(self.agency, self.codec.catalogue.types, TYPE)
        self.keys: AgencyKeys = agency_keys(self.agency, world.settings, SystemClock())
        self.old = {nik: self.keys.known().pseudonym(Nik(nik)) for nik in NIKS}
        self.keys.replace(["klinik.visit.recorded.v1"])
        self.new = {nik: self.keys.known().pseudonym(Nik(nik)) for nik in NIKS}
        self.log = MemoryLog({TOPIC: 4})

    def given(self, *lines: str | bytes) -> Given:
        raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
        return pairs_of(raw, Nik, self.keys.former(simulation=False), self.keys.known(simulation=False))

    async def map(self, niks: Sequence[str]) -> int:
        return await publish(self.schema, self.given(*niks).pairs, self.log, self.log, self.codec, ManualClock())

    def told(self) -> list[Envelope]:
        """What a fold takes: per partition and source only rising sequences."""
        found = []
        for number in range(4):
            highest: dict[str, int] = {}
            for record in self.log.records(TOPIC, number):
                assert record.value is not None
                envelope = envelope_of(TYPE, self.codec.decode(record.value, record.headers))
                if envelope.sequence > highest.get(envelope.source, -1):
                    highest[envelope.source] = envelope.sequence
                    found.append(envelope)
        return found

    def check(self, niks: Sequence[str]) -> None:
        """Each of these persons stands in one state with both pseudonyms, and nobody else."""
        assert {each.event.subject: dict(each.event.data) for each in self.told()} == {
            self.new[nik]: {"old": self.old[nik], "new": self.new[nik]} for nik in niks
        }
        assert {each.source for each in self.told()} == {source_of("klinik")}
        assert all(each.op is Op.CREATE for each in self.told())


@pytest.fixture
def klinik(world: World) -> Clinic:
    return Clinic(world)


def test_a_line_becomes_the_pseudonyms_of_both_keys_or_a_number(klinik: Clinic) -> None:
    given = klinik.given(
        b"\xef\xbb\xbf" + NIKS[0].encode(), "", f" {NIKS[1][:6]} {NIKS[1][6:]} ", NIKS[1], "Budi Santoso", b"\xff3309121203990003",
        NIKS[3] + "4", "0009010503990001",
    )  # fmt: skip
    assert given.pairs == {klinik.new[nik]: klinik.old[nik] for nik in NIKS[:2]}
    assert given.bad == (5, 6, 7, 8)
    names = pairs_of([b"Budi  Santoso", b"budi santoso", NIKS[0].encode()], PersonName, klinik.keys.former(), klinik.keys.known())
    assert (len(names.pairs), names.bad) == (1, (3,))


async def test_each_person_is_told_of_once(klinik: Clinic) -> None:
    assert await klinik.map(NIKS[:10]) == 10
    klinik.check(NIKS[:10])
    assert await klinik.map(NIKS[:10]) == 0
    assert await klinik.map([*NIKS[5:20], *NIKS[5:20]]) == 10
    klinik.check(NIKS[:20])
    assert klinik.log.writes == 20
    assert {each.batch for each in klinik.told()} == {"klinik/~pseudonyms/1", "klinik/~pseudonyms/2"}
    assert len({each.id for each in klinik.told()}) == 20


async def test_each_person_is_told_of_once_when_it_is_killed_between_any_two_effects(
    klinik: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.ops.pseudonyms._SENT_AT_ONCE", 3)
    for effect in range(12):
        klinik.log = MemoryLog({TOPIC: 4})
        left = effect

        def hook(message: object) -> None:
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1

        klinik.log.on_effect = hook
        with pytest.raises(Crash):
            await klinik.map(NIKS[:12])
        klinik.log.on_effect = None
        assert await klinik.map(NIKS[8:16]) == 8 - max(0, effect - 8)
        await klinik.map(NIKS[:16])
        klinik.check(NIKS[:16])
        assert klinik.log.writes == 16
        assert len(klinik.told()) == 16


@pytest.mark.parametrize("late", range(1, 9))
async def test_what_a_killed_run_writes_late_takes_nobodys_place(klinik: Clinic, late: int) -> None:
    """Its messages come in the middle of the next run, under the sequences that this one gives to others."""
    await klinik.map(NIKS[:8])
    stuck = [record for number in range(4) for record in klinik.log.records(TOPIC, number)]
    klinik.log = MemoryLog({TOPIC: 4})
    written = 0

    def arrive(message: object) -> None:
        nonlocal written
        written += 1
        if written == late:
            for record in stuck:
                klinik.log.append(Message(record.topic, record.partition, record.key, record.value, record.headers))

    klinik.log.on_effect = arrive
    await klinik.map(NIKS[8:30])
    klinik.log.on_effect = None
    assert {klinik.new[nik] for nik in NIKS[8:30]} <= {each.event.subject for each in klinik.told()}
    await klinik.map(NIKS[:30])
    klinik.check(NIKS[:30])
    # one that is told twice has one version: it is the same state
    assert {each.version for each in klinik.told()} == {256}


async def test_two_runs_that_disturb_one_another_end(klinik: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(messages: object) -> Sequence[int]:
        return []

    monkeypatch.setattr(klinik.log, "send", nothing)
    with pytest.raises(TransientError, match="40 persons are not in"):
        await klinik.map(NIKS)


async def test_what_was_withdrawn_is_told_again(klinik: Clinic) -> None:
    await klinik.map(NIKS[:3])
    klinik.log.create(AUDIT)
    plan = await plan_withdrawal([klinik.schema], klinik.log, klinik.codec, "klinik/~pseudonyms/1")
    await withdraw(plan, klinik.log, Audit(klinik.log, klinik.log, ManualClock()), reason="jenis yang salah")
    assert await klinik.map(NIKS[:3]) == 3
    newest = {each.event.subject: each for each in sorted(klinik.told(), key=lambda each: each.version)}
    assert {each.op for each in newest.values()} == {Op.CREATE}
    assert {each.source for each in klinik.told()} == {source_of("klinik"), withdrawal_of("klinik/~pseudonyms/1")}


async def test_no_identifier_is_in_what_was_written(klinik: Clinic, world: World, capfd: pytest.CaptureFixture[str]) -> None:
    await klinik.map([*NIKS, "33091212039900"])
    look = Scanner(NIKS, codec=klinik.codec)
    assert not [hit for number in range(4) for hit in look.records(TOPIC, klinik.log.records(TOPIC, number))]
    said = capfd.readouterr()
    assert not list(look.text("output", said.out + said.err))
    files = [path for path in world.settings.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in files for nik in NIKS if nik.encode() in path.read_bytes()]


async def test_only_a_declared_restricted_mapping_type_is_taken(klinik: Clinic) -> None:
    types = klinik.codec.catalogue.types
    for name, what in (("klinik.visit.recorded.v1", "allowed: klinik.pseudonym.mapped"), ("klinik.pseudonym.mapped.v2", "is not declared")):
        with pytest.raises(ConfigurationError, match=what):
            mapping_schema(klinik.agency, types, name)
    manifest = klinik.agency.folder / "agency.toml"
    manifest.write_text(
        manifest.read_text().replace(f'[events."{TYPE}"]\naccess = "restricted"', f'[events."{TYPE}"]\naccess = "internal"')
    )
    with pytest.raises(ConfigurationError, match='access is "internal"'):
        mapping_schema(discover([klinik.agency.folder.parent])["klinik"], types, TYPE)
    klinik.log = MemoryLog({})
    with pytest.raises(FatalError, match="bus topics apply"):
        await klinik.map(NIKS)


async def test_no_key_is_replaced_under_a_running_connector(world: World) -> None:
    world.put("1.csv", f"{NIKS[0]},2026-01-05,,Budi Santoso,,Jl. Merbabu 3,kontrol,L", header="nik,tanggal,kk,nama,hp,alamat,catatan,jk")
    keys = agency_keys(world.agency, world.settings, SystemClock())
    running = asyncio.create_task(world.runner().run(until_end=False))
    while not world.envelopes():
        await asyncio.sleep(0.01)
    with pytest.raises(ConfigurationError, match="a connector on this machine is running with its key"):
        keys.check_replaceable()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    keys.check_replaceable()


async def test_a_source_that_still_gives_the_old_type_stands_still(world: World) -> None:
    line = f"{NIKS[0]},2026-01-05,,Budi Santoso,,Jl. Merbabu 3,kontrol,L"
    header = "nik,tanggal,kk,nama,hp,alamat,catatan,jk"
    world.put("1.csv", line, header=header)
    await world.run()
    keys = agency_keys(world.agency, world.settings, SystemClock())
    keys.replace(["klinik.visit.recorded.v1"])
    world.put("2.csv", line.replace("kontrol", "pulang"), header=header)
    with pytest.raises(ConfigurationError, match="holds pseudonyms of the key that was replaced"):
        await world.run()
    assert len(world.envelopes()) == 1
    assert await world.quarantine() == []


@pytest.mark.parametrize(
    ("agency", "types"),
    [
        ("dinsos", {"dinsos.aid.granted.v1", "dinsos.aid.paid.v1", "dinsos.aid.failed.v1", "dinsos.aid.graduated.v1"}),
        ("dlh", set()),
        ("dukcapil", {f"dukcapil.{name}.v1" for name in ("person.registered", "population_change.occurred", "population_change.reported")}),
    ],
)
def test_the_types_that_hold_pseudonyms_are_found_in_schemas_and_samples(agency: str, types: set[str]) -> None:
    found = discover([ROOT / "connectors"])[agency]
    assert set(holders(found, Catalogue.load([ROOT / "schemas"]))) == types
