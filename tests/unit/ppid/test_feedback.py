"""Feedback from the form to a number: taken exactly once whoever dies between, and nothing of a person anywhere."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.testing.clock import ManualClock
from bus.testing.memory import MemoryLog
from consumers.ppid.feedback import MOST_BYTES, Feedback, Unfit, number_of, read
from consumers.ppid.feedback_web import ANSWERS, Limits
from tests.connectors.agency_site import brief, numbers
from tests.sources.webhook_world import OTHER_KEY, drained, posting
from tests.unit.ppid.desk import TEXT, desk, filled, portal_beside, ppid_world
from tests.unit.ppid.feed import PM10, portal_over, public, released, serving, until_ready

NIK, PHONE, MAIL = "3309054105900001", "0812 3456 7890", "budi.contoh@example.go.id"
PERSONAL = [
    f"NIK saya {NIK}, tolong dicek.", "Nomor 3309.0541.0590.0001 milik saya", f"Hubungi {PHONE} ya", "Hubungi +62-812-3456-7890 saja",
    f"Kirim ke {MAIL} hasilnya", "Kirim ke budi @ example.com ya",
]  # fmt: skip


async def test_a_form_becomes_a_number_once(tmp_path: Path) -> None:
    """The receipt comes when the feedback is durable; sent again, also by another portal, it is the same one."""
    world = ppid_world(tmp_path)
    async with desk(world, portal_beside(world, tmp_path)) as client:
        first = await client.post("/api/feedback", json=filled())
        assert first.status_code == 202, first.text
        again = await client.post("/api/feedback", json=filled())
        assert again.json() == first.json()
        other = await client.post("/api/feedback", json=filled(text=TEXT + " Juga April."))
        assert other.status_code == 202
        assert other.json() != first.json()
        await drained(world, 4)
    async with desk(world, portal_beside(world, tmp_path)) as client:
        assert (await client.post("/api/feedback", json=filled())).json() == first.json()
        answer = {
            "nomor": first.json()["number"], "tentang": PM10, "jenis": "KESALAHAN", "diterima": "2026-03-02T09:00:00+07:00",
            "waktu": "2026-03-04T09:00:00+07:00", "hasil": "DIPERBAIKI", "jawaban": "Benar, sudah dibetulkan.",
        }  # fmt: skip
        port = world.environ["BUS_INGEST__INGRESS_PORT"]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/v1/events/ppid/", headers={"X-Api-Key": OTHER_KEY}) as ingress:
            # the portal's key opens no other door
            assert (await ingress.post("jawaban", json=answer)).status_code == 401
            ingress.headers["X-Api-Key"] = world.environ["BUS_PPID__WEBHOOK_KEY"]
            assert (await ingress.post("jawaban", json=answer)).status_code == 202
        await drained(world, 6)
    received = [each.event for each in world.folded() if each.event.type == "ppid.feedback.received.v1"]
    assert sorted(each.subject for each in received) == sorted(each.json()["number"] for each in (first, other))
    assert all(str(each.data["text"]).startswith("sealed:") for each in received)
    assert {(each.data["agency"], each.data["about"]) for each in received} == {("DLH", PM10)}
    assert brief(numbers("ppid.feedback_open_now", world), "agency", "about", "value") == [("DLH", PM10, "1")]
    assert brief(numbers("ppid.feedback_answers", world), "number", "answer") == [(first.json()["number"], "Benar, sudah dibetulkan.")]
    assert not kept_anywhere(tmp_path, TEXT)


async def test_what_was_taken_before_the_answer_was_lost_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ingress has it, and the portal never hears so: the citizen sends it again."""
    world = ppid_world(tmp_path)
    portal = portal_beside(world, tmp_path)
    async with desk(world, portal) as client:
        with monkeypatch.context() as patch:
            patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", _losing(httpx.AsyncHTTPTransport.handle_async_request, world))
            lost = await client.post("/api/feedback", json=filled())
        assert lost.status_code == 503
        assert lost.json()["message"]["id"].startswith("Masukan belum dapat diterima")
        assert (await client.post("/api/feedback", json=filled())).status_code == 202
        await drained(world, 2)
    assert len(world.folded()) == 2


def _losing(real: object, world: object) -> object:
    """Does what it is asked, and loses the ingress's answer."""

    async def handle(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        response = await real(self, request)  # type: ignore[operator]
        if request.url.path.startswith("/v1/events/"):
            await response.aread()
            await response.aclose()
            raise httpx.ReadError("gone", request=request)
        assert isinstance(response, httpx.Response)
        return response

    return handle


async def test_the_ingress_may_be_away(tmp_path: Path) -> None:
    """Without it there is no receipt; when it is back, what was written is taken once."""
    world = ppid_world(tmp_path)
    async with serving(portal_beside(world, tmp_path)) as url, httpx.AsyncClient(base_url=url, timeout=30) as client:
        away = await client.post("/api/feedback", json=filled())
        assert (away.status_code, "number" in away.json()) == (503, False)
        assert int(away.headers["Retry-After"]) > 0
        for _ in range(2):
            async with posting(world):
                assert (await client.post("/api/feedback", json=filled())).status_code == 202
                await drained(world, 2)
    assert len(world.folded()) == 2


async def test_nothing_of_a_person_is_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither what the form refuses nor what somebody sends past it stands in the log, on the disk or in what is printed."""
    world, said = ppid_world(tmp_path), []
    async with desk(world, portal_beside(world, tmp_path)) as client:
        for text in PERSONAL:
            refused = await client.post("/api/feedback", json=filled(text=text))
            assert refused.status_code == 422, text
            assert "tidak disimpan" in refused.json()["message"]["id"]
            said.append(refused.text)
        assert await world.quarantine() == []
        address = f"http://127.0.0.1:{world.environ['BUS_INGEST__INGRESS_PORT']}/v1/events/ppid/masukan"
        for text in PERSONAL:
            past = Feedback(number_of(text), PM10, "SARAN", text).record(world.clock.now())
            answer = await client.post(address, json=past, headers={"X-Api-Key": OTHER_KEY})
            assert answer.status_code == 422, text
            said.append(answer.text)
        async with asyncio.timeout(30):
            while len(await world.quarantine()) < len(PERSONAL):
                await asyncio.sleep(0.02)
    assert world.folded() == []
    printed = capfd.readouterr()
    clear = "".join([*said, printed.out, printed.err, world.everything_clear()])
    for value in (*PERSONAL, NIK, PHONE, MAIL):
        assert value not in clear
        assert not kept_anywhere(tmp_path, value)


def kept_anywhere(folder: Path, text: str) -> bool:
    """Whether the text stands in any file below."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return any(text.encode() in path.read_bytes() for path in files)


async def test_what_the_form_does_not_take(tmp_path: Path) -> None:
    world = ppid_world(tmp_path)
    async with serving(portal_beside(world, tmp_path, feedback_per_hour=2)) as url, httpx.AsyncClient(base_url=url) as client:

        async def sent(content: object) -> tuple[int, str]:
            answer = await client.post("/api/feedback", json=content)
            assert answer.headers["content-type"] == "application/problem+json"
            assert set(answer.json()["message"]) == {"id", "en"}
            return answer.status_code, answer.json()["field"]

        assert await sent(filled(website="http://example.com")) == (422, "website")
        assert await sent(filled(kind="PUJIAN")) == (422, "kind")
        assert await sent(filled(text="pendek")) == (422, "text")
        assert await sent(filled(text="x" * MOST_BYTES)) == (422, "text")
        assert await sent(filled(about="dlh.nothing")) == (422, "about")
        assert await sent(filled(about="bapenda.unpaid_day")) == (422, "about")  # dikecualikan
        assert await sent(filled(key="")) == (422, "key")
        assert await sent([]) == (422, "")
        form = await client.post("/api/feedback", content=json.dumps(filled()), headers={"Content-Type": "text/plain"})
        assert form.status_code == 415  # no page of another origin can send more than that
        assert [(await sent(filled()))[0] for _ in range(3)] == [503, 503, 429]
        assert (await client.get("/api/feedback", params={"about": "bapenda.unpaid_day"})).status_code == 404


async def test_without_an_ingress_the_form_says_where_to_write(tmp_path: Path) -> None:
    portal = portal_over(MemoryLog({f"public.{PM10}": 1}), f"sqlite:///{tmp_path / 'ppid.db'}", tmp_path)
    async with serving(portal) as url, httpx.AsyncClient(base_url=url) as client:
        shown = (await client.get("/api/feedback", params={"about": PM10})).json()
        assert (shown["open"], shown["contact"]) == (False, "ppid@boyolali.go.id")
        assert shown["about"]["title"]["id"] == "Nilai tertinggi indeks PM10 per bulan"
        assert (await client.post("/api/feedback", json=filled())).status_code == 404


async def test_answers_are_public(tmp_path: Path) -> None:
    """They come as any published number does; those of other datasets stand elsewhere."""
    log = MemoryLog({f"public.{ANSWERS}": 1})
    common = {"agency": "DLH", "kind": "SARAN", "outcome": "DIJELASKAN", "received_on": "2026-03-01"}
    rows = [
        (PM10, "2026-03-02", "M-BBBB-BBBB-BBBB"),
        (PM10, "2026-03-04", "M-CCCC-CCCC-CCCC"),
        ("dlh.pm25_max", "2026-03-03", "M-DDDD-DDDD-DDDD"),
    ]
    now = (released(1).replace(year=1970), released(1).replace(year=1970))
    for about, on, number in rows:
        answer = {"about": about, "answered_on": on, "number": number, "answer": f"Jawaban {number}"}
        await log.send([public("1", at=released(8), indicator=ANSWERS, window=now, dimensions={**common, **answer})])
    portal = portal_over(log, f"sqlite:///{tmp_path / 'ppid.db'}", tmp_path)
    async with serving(portal) as url, httpx.AsyncClient(base_url=url) as client:
        await until_ready(client)
        assert (await client.get("/api/datasets")).json()["datasets"][0]["id"] == ANSWERS
        shown = (await client.get("/api/feedback", params={"about": PM10})).json()["answers"]
        assert [each["number"] for each in shown] == ["M-CCCC-CCCC-CCCC", "M-BBBB-BBBB-BBBB"]
        assert shown[0]["answer"] == "Jawaban M-CCCC-CCCC-CCCC"
        assert len((await client.get("/api/feedback")).json()["answers"]) == 3


def test_an_address_without_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="BUS_PPID__FEEDBACK_KEY"):
        portal_over(MemoryLog({}), "sqlite://", tmp_path, feedback_url="http://127.0.0.1:1/")


def test_clients_are_limited_one_by_one() -> None:
    clock = ManualClock()
    limits = Limits(clock, 2)
    assert [limits.take("10.0.0.1") for _ in range(2)] == [0.0, 0.0]
    assert limits.take("10.0.0.1") == 1_800.0
    assert limits.take("10.0.0.2") == 0.0
    assert [limits.take(f"2001:db8::{host}") for host in (1, 2)] == [0.0, 0.0]
    assert limits.take("2001:db8::3") > 0  # one host's network
    clock.advance(1_800)
    assert limits.take("10.0.0.1") == 0.0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each), max_leaves=4
)


_FORMS = st.fixed_dictionaries(dict.fromkeys(filled(), _JSON))


@given(st.binary() | (_JSON | _FORMS).map(lambda value: json.dumps(value).encode()))
def test_whatever_is_sent_is_taken_or_refused(body: bytes) -> None:
    with suppress(Unfit):
        assert read(body).text.strip()


@given(st.text(min_size=10, max_size=2_000))
def test_what_is_taken_can_be_sent_on(text: str) -> None:
    try:
        found = read(json.dumps(filled(text=text)).encode())
    except Unfit:
        return
    json.dumps(found.record(ManualClock().now()), ensure_ascii=False).encode()
    assert read(json.dumps(filled(text=found.text)).encode()) == found


@given(st.text(), st.text())
def test_numbers_name_what_was_said(one: str, other: str) -> None:
    assert (number_of(one, "a") == number_of(other, "a")) == (one == other)
