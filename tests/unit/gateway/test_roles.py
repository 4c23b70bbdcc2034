"""What a role may not see does not exist: two worlds that differ only in that give the same bytes, whatever is asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.errors import ConfigurationError
from bus.kafka.ports import Message, TopicPartition
from bus.ops.apikeys import Role
from bus.settings import GatewaySettings, Settings
from bus.testing.memory import MemoryLog
from consumers.dashboard.state import State
from consumers.dashboard.stream import Hub, Limits, Wish
from consumers.dashboard.views import internal_sees
from tests.conftest import examples
from tests.unit.gateway.feed import DECODE, Client, gateway_over, released, serving, until_ready, value
from tests.unit.gateway.two_worlds import (
    EXEMPT,
    INSIDE,
    NAMES,
    OPEN,
    SMALL,
    VISIBLE,
    asked,
    beginning_of,
    everything,
    log_of,
    mixed,
)


@pytest.mark.parametrize(("role", "hidden"), [("public", INSIDE), ("internal", SMALL)])
async def test_two_worlds_that_differ_in_what_a_role_may_not_see_are_one(
    tmp_path: Path, keys: dict[str, str], role: str, hidden: Sequence[Message]
) -> None:
    topics = [f"indicators.{OPEN}", f"history.{OPEN}", f"indicators.{EXEMPT}", f"public.{OPEN}"]
    # The time of a record in this log is its number: what was visible is written at the same times in both worlds.
    full, plain = log_of(mixed(hidden), *topics), log_of(VISIBLE, *topics)
    for topic in {message.topic for message in VISIBLE}:
        times = {record.value: record.timestamp_ms for record in full.records(topic)}
        part = plain._topics[topic][0]
        part.records = [type(r)(r.topic, 0, r.offset, r.key, r.value, r.headers, times[r.value]) for r in part.records]
    with_, without = await everything(full, tmp_path, keys[role]), await everything(plain, tmp_path, keys[role])
    for one, other in zip(with_, without, strict=True):
        assert one == other
    text = b"".join(body for *_, body in with_).decode()
    assert '"38"' in text
    if role == "public":
        assert EXEMPT not in text.replace(f"there is no indicator '{EXEMPT}'", "").replace(f'"received":"{EXEMPT}"', "")
        assert "nobody.knows" not in text
        assert '"28"' not in text
    # The same comparison sees a difference where there is one.
    seen = ["/v1/indicators", f"/v1/indicators/{OPEN}", "/v1/stream"]
    ones, others = [await everything(log, tmp_path, keys["restricted"], seen) for log in (full, plain)]
    assert all(one != other for one, other in zip(ones, others, strict=True) if one[1] == 200)


hiding = st.lists(st.tuples(st.sampled_from(["A", "B"]), st.integers(1, 2), st.integers(0, 9), st.booleans()), min_size=1, max_size=25)


async def _seen(history: Sequence[tuple[str, int, int, bool]], secret: Sequence[int]) -> list[str]:
    """All messages of two clients of an internal state, one that stays and one that comes back after each step, with `secret` cells or none."""
    state = State(DECODE, sees=internal_sees)
    hub = Hub(state, Limits(heartbeat=0.001))
    topic, offset, revision, version = "indicators.dlh.x", 0, 0, 1
    log = MemoryLog({topic: 1}, compacted=[topic])
    seen: list[str] = []
    token = ""
    staying = hub.messages(Wish())
    for place, wanted, n, _ in history:
        revision, version = revision + 1, max(version, wanted)
        batch = [value("dlh.x", str(revision), dimensions={"station": place}, version=version, revision=revision, n=n)]
        for number in secret:
            small = value("dlh.x", "1", dimensions={"station": f"S{number}"}, version=3, revision=revision, n=number % 5)
            batch.insert(number % 2, small)
        await log.send(batch)
        end = await log.end(TopicPartition(topic, 0))
        async for records in log.read(TopicPartition(topic, 0), offset, end):
            state.apply(topic, [type(r)(r.topic, 0, r.offset, r.key, r.value, r.headers, revision) for r in records], upto=end)
        offset = end
        hub.wake()
        async for kind, body in staying:
            if kind == "heartbeat":
                break
            seen.append(body.decode())
        coming = hub.messages(Wish(token=token))
        async for kind, body in coming:
            if kind == "heartbeat":
                break
            seen.append(body.decode())
            found = re.search(r"id: (\S+)", body.decode())
            token = found[1] if found else token
        await coming.aclose()  # type: ignore[attr-defined]
    await staying.aclose()  # type: ignore[attr-defined]
    return seen


@given(hiding, st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True))
@settings(max_examples=examples(8), deadline=None)
def test_streams_of_two_worlds_are_one(history: list[tuple[str, int, int, bool]], secret: list[int]) -> None:
    assert asyncio.run(_seen(history, secret)) == asyncio.run(_seen(history, []))


async def test_a_cell_that_becomes_small_is_taken_away_and_no_older_record_brings_it_back() -> None:
    state = State(DECODE, sees=internal_sees)
    log = MemoryLog({"indicators.dlh.x": 1})
    for message in (
        value("dlh.x", "7", n=7, revision=7),
        value("dlh.x", "3", n=3, revision=11),
        value("dlh.x", "7", n=7, revision=7),
        value("dlh.x", "9", n=9, revision=17),
    ):
        log.append(message)
    shown = []
    for record in log.records("indicators.dlh.x"):
        state.apply(record.topic, [record], upto=0)
        shown.append([cell.value for cell in state.indicators["dlh.x"].cells()])
    assert shown == [["7"], [], [], ["9"]]
    assert state.change == 3


async def test_a_token_of_one_internal_gateway_is_understood_by_another(tmp_path: Path, keys: dict[str, str]) -> None:
    log = log_of([*VISIBLE, *SMALL])
    head = {"Authorization": f"Bearer {keys['internal']}"}

    async def beginning(http: httpx.AsyncClient, token: str) -> Client:
        client = Client()
        async with http.stream("GET", "/v1/stream", headers=head | ({"Last-Event-ID": token} if token else {})) as answer:
            assert answer.status_code == 200
            client.feed_text((await beginning_of(answer)).decode())
        return client

    async with asked(log, tmp_path) as (_, one), asked(log, tmp_path) as (_, two):
        for http in (one, two):
            while (await http.get("/healthz", headers=head)).status_code != 200:
                await asyncio.sleep(0.02)
        first = await beginning(one, "")
        assert first.kinds == ["status", "snapshot"]
        # Nothing that it may see has changed: nothing is sent, whichever gateway it comes to, and whatever else has changed.
        await log.send([value(OPEN, "15", n=3, version=2, revision=5, dimensions={"station": "DKI9"})])
        await asyncio.sleep(0.1)
        for http in (one, two):
            again = await beginning(http, first.token)
            assert (again.kinds, again.cells, again.token) == (["status", "change"], {}, first.token)


async def test_without_a_key_only_what_is_public_is_there_unless_this_machine_asks(tmp_path: Path, keys: dict[str, str]) -> None:
    log = log_of([*VISIBLE, *(message for message in INSIDE if message.value != b"unreadable")])
    async with asked(log, tmp_path) as (_, http):
        assert [each["value"] for each in (await http.get(f"/v1/indicators/{OPEN}")).json()["cells"]] == ["38", None]
        assert (await http.get("/healthz")).json()["role"] == "public"
        wrong = await http.get("/v1/indicators", headers={"X-API-Key": "simpul_wrong"})
        assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, 'Bearer realm="simpul"')
    gateway = gateway_over(log)
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        assert (await http.get("/healthz")).json()["role"] == "restricted"
        for headers in ({"X-Forwarded-For": "10.0.0.7"}, {"Host": "simpul.boyolali.go.id"}, {"Via": "1.1 proxy"}):
            assert (await http.get("/healthz", headers=headers)).json()["role"] == "public", headers


async def test_a_suppressed_cell_is_window_and_dimensions(tmp_path: Path, keys: dict[str, str]) -> None:
    careless = released(OPEN, "4", n=4, dimensions={"station": "DKI4"}, more={"suppressed": True})
    log = log_of([released(OPEN, "38"), released(OPEN, "5", dimensions={"station": "DKI4"}), careless])
    async with asked(log, tmp_path) as (_, http):
        cells = (await http.get(f"/v1/indicators/{OPEN}?station=DKI4")).json()["cells"]
        past_of_it = (await http.get(f"/v1/indicators/{OPEN}/revisions?station=DKI4")).json()
        shown = (await http.get(f"/v1/indicators/{OPEN}/revisions?station=DKI1")).json()
        ((line, point),) = [
            (each, each["points"][0]) for each in (await http.get(f"/v1/indicators/{OPEN}/series?station=DKI4")).json()["series"]
        ]
    (cell,) = cells
    assert set(cell) == {"key", "indicator", "version", "window_start", "window_end", "dimensions", "suppressed", "value"}
    assert (cell["suppressed"], cell["value"], cell["dimensions"]) == (True, None, {"station": "DKI4"})
    assert (past_of_it["total"], past_of_it["revisions"]) == (0, [])
    assert [(each["value"], each["published_at"]) for each in shown["revisions"]] == [("38", "2021-02-01T07:00:00+07:00")]
    assert (line["dimensions"], point["value"], point["suppressed"]) == ({"station": "DKI4"}, None, True)


async def test_tickets_open_streams_at_every_gateway_and_nothing_else(tmp_path: Path, keys: dict[str, str]) -> None:
    log = log_of([*VISIBLE])
    async with asked(log, tmp_path) as (_, one), asked(log, tmp_path) as (_, two):
        answer = await one.post("/v1/tickets", headers={"X-API-Key": keys["internal"]})
        assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
        ticket = answer.json()["ticket"]
        while (await two.get("/healthz", headers={"X-API-Key": keys["internal"]})).status_code != 200:
            await asyncio.sleep(0.02)
        async with two.stream("GET", "/v1/stream", params={"ticket": ticket, "detail": "brief"}) as stream:
            assert stream.status_code == 200
            async for text in stream.aiter_text():
                if '"28"' in text:
                    break
        assert (await two.get("/v1/stream", params={"ticket": ticket[:-1] + ("0" if ticket[-1] != "0" else "1")})).status_code == 401
        assert (await two.get("/v1/indicators", params={"ticket": ticket})).status_code == 400
        assert (await one.post("/v1/tickets")).status_code == 404
        # Its key is taken back: so is what was given for it.
        path = tmp_path / "keys"
        path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith(NAMES["internal"])) + "\n")
        async with asyncio.timeout(5):
            while (await two.get("/v1/stream", params={"ticket": ticket, "x": "1"})).status_code != 401:
                await asyncio.sleep(0.02)
        assert (await two.get("/healthz", headers={"X-API-Key": keys["internal"]})).status_code == 401


@pytest.mark.parametrize("anonymous", ["internal", "restricted"])
def test_only_a_loopback_address_may_show_everybody_more_than_the_public(anonymous: str) -> None:
    wide = Settings(gateway=GatewaySettings(port=0, host="0.0.0.0", anonymous=anonymous))
    with pytest.raises(ConfigurationError, match=r"BUS_GATEWAY__ANONYMOUS.*loopback"):
        gateway_over(MemoryLog(), settings=wide)


def test_an_address_that_others_reach_shows_what_is_public() -> None:
    assert gateway_over(MemoryLog(), host="0.0.0.0").door.anonymous is Role.PUBLIC
    assert gateway_over(MemoryLog(), host="127.0.0.1").door.anonymous is Role.RESTRICTED
    assert gateway_over(MemoryLog(), anonymous="public").door.anonymous is Role.PUBLIC


def test_a_faulty_file_of_keys_is_told_line_by_line_without_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(
        f"# of ours\n\nmcd internal\nMCD internal {'0' * 64}\nmcd boss {'0' * 64}\nmcd public simpul_secret\na public {'1' * 64}\nb public {'1' * 64}\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        gateway_over(MemoryLog(), keys_file=path)
    assert [problem.where for problem in refused.value.problems] == [f"{path}:{number}" for number in (3, 4, 5, 6, 8)]
    assert "simpul_secret" not in str(refused.value)


async def test_two_gateways_know_one_another_s_tokens(tmp_path: Path) -> None:
    """Of the public, whose tokens are positions in public topics."""
    log = log_of([released(OPEN, "38"), *INSIDE])
    (tmp_path / "keys").touch()
    client = Client()
    async with asked(log, tmp_path) as (_, one), asked(log, tmp_path) as (_, two):
        for http, expected in ((one, "snapshot"), (two, "change")):
            client.kinds = []
            headers = {"Last-Event-ID": client.token} if client.token else {}
            async with http.stream("GET", "/v1/stream", headers=headers) as answer:
                client.feed_text((await beginning_of(answer)).decode())
            assert client.kinds == ["status", expected]
            log.append(released(OPEN, "40", revision=2))
            await asyncio.sleep(0.2)
    assert [cell["value"] for cell in client.cells.values()] == ["40"]
