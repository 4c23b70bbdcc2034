"""The role as a whole over the log in memory: what the page is served, who is told, and what a restart does."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from pydantic import SecretBytes

from bus.alerts.rule import Rule
from bus.errors import ConfigurationError
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.outputs import Output
from bus.kafka.follower import Pace
from bus.kafka.ports import LogReader, Message
from bus.ops.values import read_value
from bus.settings import ROOT, AlertsSettings, Settings
from bus.streams.outputs import encode_output
from bus.testing.memory import MemoryLog
from consumers.alerts.channels import Email, Webhook
from consumers.alerts.service import Alerts, check_recipients
from tests.unit.alerts.test_hook import SECRET, Receiver, receiving
from tests.unit.alerts.world import row, rule, shipped

CODEC = Codec(Catalogue.load([ROOT / "schemas"]))
QUICK = Pace(poll=0.01, discover=0.02, lost_after=0.5, longest_wait=0.05)
LEVELS = {1: "Level I (Normal)", 3: "Level III (Siaga)", 4: "Level IV (Awas)"}
MERAPI = shipped("bpbd.merapi_level")


def log_of(*rules: Rule) -> MemoryLog:
    """An empty log whose records are appended now."""
    log = MemoryLog({each.topic: 1 for each in rules}, compacted=[each.topic for each in rules])
    log.writes = int(time.time() * 1000)
    return log


def message(output: Output) -> Message:
    key, value, headers = encode_output(CODEC, output)
    return Message(f"indicators.{output.indicator}", 0, key, value, headers)


def level(new: int, revision: int, volcano: str = "MERAPI") -> Message:
    return message(row(MERAPI, str(new), volcano, LEVELS[new], revision=revision))


def alerts(
    folder: Path, log: MemoryLog, rules: Sequence[Rule], channels: Mapping[str, Email | Webhook] | None = None, **more: float
) -> Alerts:
    @asynccontextmanager
    async def open_reader() -> AsyncIterator[LogReader]:
        yield log

    async def topics(_reader: LogReader) -> Sequence[str]:
        return list(log.topics)

    settings = Settings(data_dir=folder, alerts=AlertsSettings(port=0, longest_wait_seconds=0.05, timeout_seconds=2, **more))
    named = {each.id: each for each in rules}
    return Alerts(settings, named, channels or {}, open_reader, topics, lambda record: read_value(CODEC, record), str, pace=QUICK)


@asynccontextmanager
async def serving(app: Alerts) -> AsyncIterator[httpx.AsyncClient]:
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(app.run(url.set_result))
    task.add_done_callback(lambda _ended: url.done() or url.cancel())
    try:
        async with httpx.AsyncClient(base_url=await url) as http:
            await eventually(lambda: app.follower.health().caught_up)
            yield http
    finally:
        app.stop()
        await asyncio.wait_for(task, 10)


async def eventually(condition: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def _delivered(app: Alerts, receiver: Receiver, posts: int) -> bool:
    return len(receiver.posts) == posts and not app.dispatcher._store.waiting()


async def shown(http: httpx.AsyncClient) -> list[dict[str, object]]:
    return list((await http.get("/v1/alerts")).json()["alerts"])


def hook(url: str, *, internal: bool = False) -> Webhook:
    return Webhook(kind="webhook", url=url, secret_file="x", secret=SecretBytes(SECRET), internal=internal)


async def test_the_page_shows_what_goes_on_and_what_is_just_over(tmp_path: Path) -> None:
    log = log_of(MERAPI)
    await log.send([level(3, 1)])
    app = alerts(tmp_path, log, [MERAPI])
    async with serving(app) as http:
        answer = await http.get("/v1/alerts")
        (alert,) = answer.json()["alerts"]
        assert (alert["open"], alert["severity"], alert["serta_merta"], alert["value"], alert["step"]) == (True, "danger", True, "3", 2)
        assert alert["text"]["id"].startswith("Gunung MERAPI: Level III")
        assert alert["subject"]["en"] == "[Danger] Level of Mount Merapi: MERAPI"
        assert "access-control-allow-origin" not in answer.headers
        same = await http.get("/v1/alerts", headers={"If-None-Match": answer.headers["etag"], "Origin": "https://elsewhere.example"})
        assert (same.status_code, same.headers["etag"]) == (304, answer.headers["etag"])
        assert "access-control-allow-origin" not in same.headers
        await log.send([level(1, 2), message(row(MERAPI, None, "MERAPI", LEVELS[3], revision=2))])
        await eventually(lambda: app.strip.shown().etag != answer.headers["etag"])
        (alert,) = await shown(http)
        assert (alert["open"], alert["reason"], alert["step"]) == (False, "cleared", 0)
        assert "kembali ke Level I" in str(alert["text"])
        health = (await http.get("/healthz")).json()
        assert (health["status"], health["open"], health["rules"]) == ("ok", 0, 1)
        assert b"bus_alert_open_episodes" in (await http.get("/metrics")).content


async def test_a_stream_tells_of_every_change_and_of_nothing_that_is_known(tmp_path: Path) -> None:
    log = log_of(MERAPI)
    async with serving(alerts(tmp_path, log, [MERAPI])) as http, http.stream("GET", "/v1/alerts/stream") as stream:
        lines = stream.aiter_lines()

        async def document() -> tuple[str, list[dict[str, object]]]:
            tag = ""
            async for line in lines:
                if line.startswith("id: "):
                    tag = line[4:]
                if line.startswith("data: "):
                    return tag, json.loads(line[6:])["alerts"]
            raise AssertionError("the stream ended")

        assert (await document())[1] == []
        await log.send([level(3, 1)])
        tag, (alert,) = await document()
        assert alert["value"] == "3"
        async with http.stream("GET", "/v1/alerts/stream", headers={"Last-Event-ID": tag}) as again:
            await log.send([level(4, 2)])
            async for line in again.aiter_lines():
                if line.startswith("data: "):
                    assert json.loads(line[6:])["alerts"][0]["value"] == "4"
                    break


async def test_a_restart_tells_nothing_again_and_goes_on(tmp_path: Path) -> None:
    log = log_of(MERAPI)
    receiver = Receiver()
    async with receiving(receiver) as url:
        for number, new in enumerate((3, 3, 4), start=1):
            await log.send([level(new, number)])
            app = alerts(tmp_path, log, [MERAPI], {"siaga": hook(url)})
            async with serving(app):
                await eventually(partial(_delivered, app, receiver, 1 + (new == 4)))
                await asyncio.sleep(0.05)
    assert [json.loads(body)["transition"] for _, body in receiver.posts] == ["begun", "changed"]


async def test_a_channel_that_is_down_for_long_is_told_when_it_is_back(tmp_path: Path) -> None:
    log = log_of(MERAPI)
    good, bad = Receiver(), Receiver(answers=[503])
    async with receiving(good) as url, receiving(bad) as other:
        app = alerts(tmp_path, log, [MERAPI], {"siaga": hook(url), "pusdalops": hook(other)})
        async with serving(app) as http:
            await log.send([level(3, 1), level(4, 2)])
            await eventually(lambda: len(good.posts) == 2 and len(bad.posts) >= 3)
            health = (await http.get("/healthz")).json()
            assert health["channels"] == {"siaga": "ok", "pusdalops": "the receiver answered 503"}
            assert health["waiting"] == {"pusdalops": 2}
            bad.answers = [204]
            await eventually(lambda: not app.dispatcher._store.waiting())
    accepted = [json.loads(body)["transition"] for _, body in bad.posts[-2:]]
    assert accepted == ["begun", "changed"]
    assert len(set(bad.keys)) == 2


async def test_silence_is_told_while_nothing_at_all_is_said(tmp_path: Path) -> None:
    quiet = rule(tmp_path, '{ kind = "missing", silent_for = "1m" }', 'per = ["volcano"]')
    log = log_of(quiet)
    log.writes -= 3_600_000
    await log.send([level(1, 1)])
    app = alerts(tmp_path, log, [quiet], silence_margin_seconds=0.0)
    async with serving(app) as http:
        await eventually(app._store.open_episodes)
        assert [alert["open"] for alert in await shown(http)] == [True]
        await log.send([level(3, 2)])
        log.writes = int(time.time() * 1000)
        await log.send([level(4, 3)])
        await eventually(lambda: not app._store.open_episodes())


async def test_excluded_numbers_are_on_no_page_and_go_to_insiders_alone(tmp_path: Path) -> None:
    hidden = rule(tmp_path, '{ kind = "threshold", above = 0 }', 'recipients = ["kesehatan"]', 'level = "desa"', of="dinkes.stunting_month")
    log = log_of(hidden)
    dims = [f"d{n}" if name != "region" else "33.09.01.2001" for n, name in enumerate(hidden.subject.dims)]
    await log.send([message(row(hidden, "3", *dims, n=3, at=int(time.time()) * 1_000_000))])
    receiver = Receiver()
    async with receiving(receiver) as url:
        app = alerts(tmp_path, log, [hidden], {"kesehatan": hook(url, internal=True)})
        async with serving(app) as http:
            await eventually(lambda: receiver.posts)
            assert await shown(http) == []
    assert hidden.internal
    with pytest.raises(ConfigurationError, match=r"test.rule.toml: recipients: dinkes.stunting_month is not for the public; .*: kesehatan"):
        check_recipients({hidden.id: hidden}, {"kesehatan": hook(url)})


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    log = log_of(MERAPI)
    first = alerts(tmp_path, log, [MERAPI])
    async with serving(first) as http:
        settings = Settings(data_dir=tmp_path / "other", alerts=AlertsSettings(port=http.base_url.port or 0))
        other = Alerts(settings, {}, {}, *first._parts[:4])
        with pytest.raises(ConfigurationError, match=r"BUS_ALERTS__PORT.*cannot listen"):
            await other.run(lambda _: None)
