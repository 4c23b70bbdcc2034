"""Letters to the PPID with their answers, and requests for information on the law's clock."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bus.clock import LOCAL_ZONE
from bus.errors import BusError, ConfigurationError, TransientError
from bus.events.personal import ERASED
from bus.ingest.privacy.keys import agency_keys
from bus.ops import feedback
from bus.ops.audit import Audit, State
from bus.ops.feedback import Counter, Letter, answer, letters, opener
from bus.testing.memory import MemoryLog
from tests.connectors.agency_site import agency_world, brief, numbers
from tests.pipeline.ingest_world import World
from tests.sources.webhook_world import KEY, drained, free_port, posting

NUMBER, TEXT = "M-BRTK-LMNP-QXZW", "Nilai bulan Januari tampak terlalu tinggi."
RECEIVED = "2026-01-12T09:00:00+07:00"


@pytest.fixture
def world(tmp_path: Path) -> World:
    keys = {"BUS_PPID__PORTAL_KEY": KEY, "BUS_PPID__WEBHOOK_KEY": KEY}
    return agency_world(tmp_path, "ppid", BUS_INGEST__INGRESS_PORT=str(free_port()), **keys)


def written(**fields: object) -> dict[str, object]:
    return {"nomor": NUMBER, "waktu": RECEIVED, "tentang": "dlh.pm10_max", "jenis": "KESALAHAN", "isi": TEXT, **fields}


class Desk:
    """The operator's side: letters as the log has them, and answers as the command gives them."""

    def __init__(self, world: World) -> None:
        self.world, self.audit_log = world, MemoryLog({"bus.audit": 1})
        self.audit = Audit(self.audit_log, self.audit_log, world.clock, who="petugas")
        self.counter = Counter(f"http://127.0.0.1:{world.environ['BUS_INGEST__INGRESS_PORT']}/v1/events/ppid/jawaban", KEY)

    async def letter(self) -> Letter:
        spec = self.world.agency.manifest.feedback
        assert spec is not None
        keys = agency_keys(self.world.agency, self.world.settings, self.world.clock)
        return (await letters(self.world.log, self.world.codec, spec, opener(keys)))[NUMBER]

    async def say(self, outcome: str, text: str, letter: Letter | None = None) -> bool:
        return await answer(letter or await self.letter(), outcome, text, counter=self.counter, audit=self.audit, clock=self.world.clock)

    async def states(self) -> list[State]:
        return [deed.state for deed in await self.audit.deeds(feedback.ACTION, NUMBER)]


async def test_a_letter_is_read_answered_and_the_answer_mended(world: World) -> None:
    desk = Desk(world)
    async with posting(world) as client:
        assert (await client.post("masukan", json=written())).status_code == 202
        await drained(world, 2)
        letter = await desk.letter()
        assert (letter.agency, letter.about, letter.text, letter.answer) == ("DLH", "dlh.pm10_max", TEXT, None)
        assert await desk.say("DIJELASKAN", "Sedang  kami\nperiksa dahulu.")
        assert await desk.say("DIJELASKAN", "Sedang kami periksa dahulu.", letter)  # run again before the log has it: known
        await drained(world, 4)
        first = (await desk.letter()).answer
        assert first is not None
        assert not await desk.say("DIJELASKAN", "Sedang kami periksa dahulu.")
        assert await desk.say("DIPERBAIKI", "Benar, sudah dibetulkan.")
        await drained(world, 5)
        assert await desk.say("DIJELASKAN", "Sedang kami periksa dahulu.")  # and back again
        await drained(world, 6)
    last = (await desk.letter()).answer
    assert last is not None
    assert (last.text, last.at) == (first.text, first.at)
    assert await desk.states() == [State.BEGUN, State.DONE] * 4
    assert len(world.folded()) == 6
    assert brief(numbers("ppid.feedback_answers", world), "outcome", "answer", "n") == [("DIJELASKAN", first.text, "1")]
    assert brief(numbers("ppid.feedback_open_now", world), "about", "value") == [("dlh.pm10_max", "0")]
    # what was written can be forgotten; that it was written and answered stays
    agency_keys(world.agency, world.settings, world.clock).vault.erase("ppid.feedback.received.v1", NUMBER)
    assert (await desk.letter()).text is None


async def test_an_answer_that_was_lost_is_given_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after the ingress has it, the command is run again: one answer, and the audit ends it."""
    desk, real = Desk(world), feedback._post

    async def stopped(*given: Any) -> None:
        await real(*given)
        raise KeyboardInterrupt

    async with posting(world) as client:
        await client.post("masukan", json=written())
        await drained(world, 2)
        with monkeypatch.context() as patch:
            patch.setattr(feedback, "_post", stopped)
            with pytest.raises(KeyboardInterrupt):
                await desk.say("DIPERBAIKI", "Benar, sudah dibetulkan.")
        await drained(world, 4)
        assert await desk.states() == [State.BEGUN]
        assert not await desk.say("DIPERBAIKI", "Benar, sudah dibetulkan.")
    assert await desk.states() == [State.BEGUN, State.DONE]
    assert len(world.folded()) == 4


async def test_answers_that_are_not_given(world: World) -> None:
    desk = Desk(world)
    letter = Letter(NUMBER, datetime(2026, 1, 12, 9, tzinfo=LOCAL_ZONE), "dlh.pm10_max", "DLH", "SARAN", None, None)
    with pytest.raises(ConfigurationError, match="--outcome"):
        await desk.say("SELESAI", "Sudah selesai semua.", letter)
    with pytest.raises(ConfigurationError, match=r"personal data \(email\)") as caught:
        await desk.say("DIJELASKAN", "Tulis ke contoh@example.go.id saja.", letter)
    assert "contoh@" not in str(caught.value)
    assert await desk.states() == []
    with pytest.raises(TransientError, match="do the connectors run"):
        await desk.say("DIJELASKAN", "Sedang kami periksa.", letter)
    async with posting(world):
        with pytest.raises(BusError, match="jawaban"):
            await desk.say("DIJELASKAN", "pendek", letter)
    assert world.folded() == []


async def test_a_letter_is_sealed_where_its_key_is_not(world: World, tmp_path: Path) -> None:
    async with posting(world) as client:
        await client.post("masukan", json=written())
        await drained(world, 2)
    spec = world.agency.manifest.feedback
    assert spec is not None
    elsewhere = agency_keys(world.agency, world.settings.model_copy(update={"data_dir": tmp_path / "elsewhere"}), world.clock)
    (letter,) = (await letters(world.log, world.codec, spec, opener(elsewhere))).values()
    assert letter.text is None
    assert not (tmp_path / "elsewhere").exists()
    sealed = next(each.event.data["text"] for each in world.folded() if "text" in each.event.data)
    assert str(sealed).startswith("sealed:")
    assert sealed != ERASED


async def test_the_laws_clock_of_requests(world: World) -> None:
    """Ten working days, seventeen where it was extended; weekends and 16 January are none. What is sent twice is one step."""

    def step(number: int, status: str, at: str, extended: int = 0) -> dict[str, object]:
        person = dict.fromkeys(("nama", "nik", "kontak", "rincian", "tujuan"), "RAHASIA")
        return {
            "nomor": f"{number}/PPID/2026", "opd": "DINKES", "kategori": "Anggaran", "kanal": "Email", "tanggal_masuk": "2026-01-05 09:00",
            "batas_waktu": "2026-01-29" if extended else "2026-01-20", "perpanjangan_hari": extended, "status": status, "waktu": at, **person,
        }  # fmt: skip

    steps = [step(number, "DITERIMA", "2026-01-05 09:00") for number in range(1, 6)]
    steps += [step(1, "DIKABULKAN", "2026-01-20 09:00"), step(2, "DITOLAK", "2026-01-20 09:00:01")]
    steps += [
        step(3, "DIPERPANJANG", "2026-01-19 10:00", 7),
        step(3, "SEBAGIAN", "2026-01-29 09:00", 7),
        step(4, "DICABUT", "2026-01-06 10:00"),
    ]
    async with posting(world) as client:
        for each in [*steps, *steps]:
            assert (await client.post("permohonan", json=each)).status_code == 202
        await drained(world, 15)
    assert len(world.folded()) == 15
    assert brief(numbers("ppid.requests_in_time_month", world), "agency", "numerator", "denominator") == [("DINKES", "2", "3")]
    assert brief(numbers("ppid.requests_open_now", world), "due_on", "value") == [("2026-01-20", "1")]
    assert brief(numbers("ppid.requests_received_month", world), "channel", "value") == [("SUREL", "5")]
    assert "RAHASIA" not in str([each.event for each in world.folded()])
