"""The kind `http` against a server on this machine: every form of paging and of knowing who asks; and what goes wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from bus.clock import LOCAL_ZONE
from bus.errors import ConfigurationError, TransientError
from bus.ingest.kinds.http_since import asked, moved
from bus.ingest.kinds.http_spec import HttpSpec, Since
from bus.ingest.stream import Received
from tests.pipeline.ingest_world import World
from tests.sources.http_server import Asked, Broken, Interface
from tests.sources.webhook_world import MAPPING, webhook_world

SETTINGS = ("base_url", "api_key", "token_url", "client_id", "client_secret")
SECRET = "rahasia-sekali-4711"


def manifest(source: str, *, key: bool = True) -> str:
    return f"""
id = "lab"
title = "Laboratorium"
owner = "Laboratorium"
summary = "Sebuah laboratorium rekaan yang ditanyai berulang-ulang. A made-up laboratory that is asked again and again."
settings = {json.dumps(SETTINGS)}
[events."lab.sample.recorded.v1"]
access = "internal"
[sources.samples]
type = "http"
path = "/samples"
{'key = ["no"]' if key else ""}
{source}
"""


@pytest.fixture
def interface() -> Iterator[Interface]:
    found = Interface(lambda _: Response(status_code=500))
    with found.serving():
        yield found


def world_of(base: Path, interface: Interface, source: str, *, key: bool = True) -> World:
    world = webhook_world(base, manifest=manifest(source, key=key), mapping=MAPPING)
    world.environ |= {
        "BUS_LAB__BASE_URL": f"{interface.url}/api", "BUS_LAB__API_KEY": SECRET, "BUS_LAB__TOKEN_URL": f"{interface.url}/token",
        "BUS_LAB__CLIENT_ID": "klien", "BUS_LAB__CLIENT_SECRET": SECRET, "BUS_KAFKA__RETRY_SECONDS": "0.3",
    }  # fmt: skip
    del world.environ["BUS_LAB__WEBHOOK_KEY"]
    return world


async def poll(world: World) -> None:
    await world.runner(sleep=asyncio.sleep).run(until_end=True)


def said(world: World) -> list[tuple[str, str, object]]:
    return [(e.op.value, e.event.subject, e.event.data["value"]) for e in world.folded()]


def rows(*numbers: int, value: str = "a") -> list[dict[str, Any]]:
    return [{"no": str(number), "value": value} for number in numbers]


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, headers, "application/json")


def always(reply: Response) -> Callable[[Asked], Response]:
    return lambda asked: reply


def late(asked: Asked) -> Response:
    time.sleep(1)
    return answer([])


CREATED = [("CREATE", str(number), "a") for number in range(7)]


def by_number(asked: Asked) -> Response:
    page = int(asked.params["page"])
    return answer({"data": {"items": rows(*range(7))[(page - 1) * 3 : page * 3], "pages": 3}})


def by_cursor(asked: Asked) -> Response:
    start = int(asked.params.get("after", "0"))
    assert asked.params["limit"] == "3"
    return answer({"items": rows(*range(7))[start : start + 3], "meta": {"next": str(start + 3) if start + 3 < 7 else None}})


def by_link(asked: Asked) -> Response:
    start = int(asked.params.get("from", "0"))
    link = {"Link": f'</api/samples?from={start + 3}>; rel="next", </api/samples>; rel="first"'} if start + 3 < 7 else {}
    return answer(rows(*range(7))[start : start + 3], headers=link)


def by_lines(asked: Asked) -> Response:
    return Response("".join(json.dumps(row) + "\n" for row in rows(*range(7))), media_type="application/x-ndjson")


@pytest.mark.parametrize(
    ("source", "reply", "questions"),
    [
        ('records = "data.items"\npage = { kind = "page" }', by_number, 4),
        ('records = "data.items"\npage = { kind = "page", last = "data.pages" }', by_number, 3),
        ('records = "items"\npage = { kind = "cursor", parameter = "after", field = "meta.next" }\nparams = { limit = "3" }', by_cursor, 3),
        ('page = { kind = "link" }', by_link, 3),
        ('format = "json-lines"', by_lines, 1),
    ],
)  # fmt: skip
async def test_pages(tmp_path: Path, interface: Interface, source: str, reply: Callable[[Asked], Response], questions: int) -> None:
    interface.answer = reply
    world = world_of(tmp_path, interface, source)
    await poll(world)
    assert said(world) == CREATED
    assert len(interface.asked) == questions
    assert {asked.path for asked in interface.asked} == {"/api/samples"}
    await poll(world)
    assert said(world) == CREATED


@pytest.mark.parametrize("header", ["etag", "last-modified"])
async def test_nothing_new_is_not_read_again(tmp_path: Path, interface: Interface, header: str) -> None:
    held, version = rows(*range(7)), '"1"' if header == "etag" else "Fri, 06 Mar 2026 00:00:00 GMT"

    def reply(asked: Asked) -> Response:
        if asked.headers.get("if-none-match", asked.headers.get("if-modified-since")) == version:
            return Response(status_code=304)
        return answer(held, headers={header: version})

    interface.answer = reply
    world = world_of(tmp_path, interface, "whole = true")
    for _ in range(3):
        await poll(world)
    assert said(world) == CREATED
    held, version = rows(0, 2, 3, 4, 5, 6), version.replace("1", "2").replace("06 Mar", "07 Mar")
    await poll(world)
    assert said(world)[7:] == [("CANCEL", "1", "a")]


async def test_all_there_is(tmp_path: Path, interface: Interface) -> None:
    """Over several pages one reading; what is missing is gone; an empty list is no truth; what is refused is refused once."""
    held: list[dict[str, Any]] = rows(*range(7))

    def reply(asked: Asked) -> Response:
        page = int(asked.params["page"])
        return answer(held[(page - 1) * 3 : page * 3])

    interface.answer = reply
    world = world_of(tmp_path, interface, 'whole = true\npage = { kind = "page" }')
    await poll(world)
    held[1:3] = [{"no": "8", "value": "a"}]
    await poll(world)
    assert said(world)[7:] == [("CREATE", "8", "a"), ("CANCEL", "1", "a"), ("CANCEL", "2", "a")]
    former, held = held, []
    with pytest.raises(TransientError, match="would withdraw everything"):
        await poll(world)
    held = [*former[1:], {"no": "9", "value": "a", "unknown": 1}]
    for _ in range(3):
        await poll(world)
    assert len(said(world)) == 10, "nothing is withdrawn while something cannot be read"
    assert len(await world.quarantine()) == 1


async def test_a_list_that_changes_between_two_pages_is_read_again(tmp_path: Path, interface: Interface) -> None:
    held = rows(*range(7))
    shifts = 2

    def reply(asked: Asked) -> Response:
        nonlocal shifts
        page = int(asked.params["page"])
        found = answer(held[(page - 1) * 3 : page * 3])
        if page == 1 and shifts:
            shifts -= 1
            held.insert(0, {"no": f"new{shifts}", "value": "a"})
        return found

    interface.answer = reply
    world = world_of(tmp_path, interface, 'whole = true\npage = { kind = "page" }')
    await poll(world)
    assert sorted(subject for op, subject, _ in said(world) if op == "CREATE") == [*(str(n) for n in range(7)), "new0", "new1"]
    assert len(said(world)) == 9


SINCE = 'since = { field = "changed", look_back = 60, first = "2024-01-01T00:00:00+07:00" }'


@pytest.mark.parametrize("key", [True, False])
async def test_what_is_newer_with_a_look_back(tmp_path: Path, interface: Interface, key: bool) -> None:
    """What is said again is known; what became visible late is read; what was refused is refused once."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    held: list[tuple[datetime, dict[str, Any]]] = []

    def add(no: str, seconds: int, **more: object) -> None:
        at = began + timedelta(seconds=seconds)
        held.append((at, {"no": no, "value": "a", "changed": at.isoformat(), **more}))

    def reply(asked: Asked) -> Response:
        since = datetime.fromisoformat(asked.params["since"])
        return answer([row for at, row in sorted(held, key=lambda each: each[0]) if at >= since])

    interface.answer = reply
    mapping = MAPPING.replace("count: int = 0", "changed: str").replace("value: str | None", "value: str")
    world = world_of(tmp_path, interface, SINCE, key=key)
    (tmp_path / "overlay/connectors/lab/mapping.py").write_text(mapping)
    add("1", 0)
    add("2", 100)
    await poll(world)
    assert interface.asked[0].params["since"] == "2024-01-01T00:00:00+07:00"
    add("3", 90)
    add("4", 200)
    add("bad", 200, unknown=1)
    for _ in range(3):
        await poll(world)
    assert said(world) == [("CREATE", no, "a") for no in "1234"]
    assert [asked.params["since"] for asked in interface.asked[1:]] == [
        (began + timedelta(seconds=seconds)).astimezone(LOCAL_ZONE).isoformat() for seconds in (40, 140, 140)
    ]  # fmt: skip
    assert len(await world.quarantine()) == 1
    add("far", 10**9)
    await poll(world)
    add("5", 10_000)
    await poll(world)
    assert datetime.fromisoformat(interface.asked[-1].params["since"]) < datetime.now(UTC), "a wrong clock does not end the reading"


async def test_a_poll_that_breaks_off_is_made_again_and_nothing_is_said_twice(tmp_path: Path, interface: Interface) -> None:
    fails = [Broken(), Response("[{", 200), Response("<html>", 200), Response(status_code=502), answer({"other": 1})]

    def reply(asked: Asked) -> Response:
        return fails.pop() if asked.params["page"] == "3" and fails else by_number(asked)

    interface.answer = reply
    for key in (True, False):
        world = world_of(tmp_path / str(key), interface, 'records = "data.items"\npage = { kind = "page" }', key=key)
        world.environ["BUS_KAFKA__RETRY_SECONDS"] = "30"
        failing = list(fails)
        await poll(world)
        fails[:] = failing
        assert said(world) == CREATED


async def test_a_server_that_dies_in_a_poll(tmp_path: Path) -> None:
    interface = Interface(by_number)
    world = world_of(tmp_path, interface, 'records = "data.items"\npage = { kind = "page" }')
    down = asyncio.Event()
    loop = asyncio.get_running_loop()

    def dying(asked: Asked) -> Response:
        if asked.params["page"] == "3":
            loop.call_soon_threadsafe(down.set)
            return Broken()
        return by_number(asked)

    interface.answer = dying
    world.environ["BUS_KAFKA__RETRY_SECONDS"] = "30"
    server = interface.serving()
    server.__enter__()
    running = asyncio.create_task(poll(world))
    await down.wait()
    await asyncio.to_thread(server.__exit__, None, None, None)
    held = journal_numbers(world)
    interface.answer = by_number
    with interface.serving():
        await running
    assert held == {}, "the cursor has not moved"
    assert said(world) == CREATED


def journal_numbers(world: World) -> dict[str, object]:
    """The cursor, read beside the connector that holds the journal."""
    import sqlite3

    path = world.settings.data_dir / "journal" / "lab" / "samples.db"
    try:
        with sqlite3.connect(f"file:{path}?immutable=1", uri=True) as db:
            found = db.execute("SELECT value FROM meta WHERE name = 'cursor'").fetchone()
    except sqlite3.DatabaseError:
        found = None
    return json.loads(found[0]) if found else {}


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        ('auth = { kind = "header", name = "X-Token", prefix = "Kunci " }', lambda asked: asked.headers.get("x-token") == f"Kunci {SECRET}"),
        ('auth = { kind = "query", name = "kunci" }', lambda asked: asked.params.get("kunci") == SECRET),
    ],
)  # fmt: skip
async def test_keys(
    tmp_path: Path, interface: Interface, auth: str, shown: Callable[[Asked], bool], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    caplog.set_level("DEBUG")
    interface.answer = lambda asked: answer(rows(*range(7)), 200 if shown(asked) else 401)
    world = world_of(tmp_path, interface, auth)
    await poll(world)
    assert said(world) == CREATED
    for status in (401, 403, 404, 500):
        interface.answer = always(answer({}, status))
        with pytest.raises(TransientError, match=str(status)) as error:
            await poll(world)
        assert SECRET not in repr(error.value)
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")]
    assert SECRET not in capsys.readouterr().out + "".join(ours)


@pytest.mark.parametrize("sent", ["header", "body"])
async def test_a_token_is_kept_renewed_before_it_ends_and_when_it_is_refused(tmp_path: Path, interface: Interface, sent: str) -> None:
    given: list[float] = []
    revoked: set[str] = set()

    def reply(asked: Asked) -> Response:
        if asked.path == "/token":
            pair = base64.b64encode(f"klien:{SECRET}".encode()).decode()
            basic = asked.headers.get("authorization") == f"Basic {pair}"
            body = (asked.form.get("client_id"), asked.form.get("client_secret")) == ("klien", SECRET)
            assert (basic, body) == (sent == "header", sent == "body")
            assert (asked.form["grant_type"], asked.form["scope"]) == ("client_credentials", "baca")
            given.append(time.monotonic() + 2)
            return answer({"access_token": f"t{len(given)}", "token_type": "Bearer", "expires_in": 2})
        token = asked.headers["authorization"].removeprefix("Bearer ")
        if token in revoked or time.monotonic() > given[int(token[1:]) - 1]:
            return Response(status_code=401)
        return answer(rows(*range(7)))

    interface.answer = reply
    auth = f'auth = {{ kind = "oauth2", scope = "baca", sent = "{sent}" }}\npoll_seconds = 0.2'
    world = world_of(tmp_path, interface, auth)
    running = asyncio.create_task(world.runner(sleep=asyncio.sleep).run(until_end=False))
    await until(lambda: len([asked for asked in interface.asked if asked.path != "/token"]) >= 4)
    assert len(given) == 1, "kept"
    revoked.add("t1")
    await until(lambda: len(given) == 2)
    await until(lambda: len(given) == 3)
    await until(lambda: interface.asked[-1].headers.get("authorization") == "Bearer t3")
    # once a token is revoked is refused once; that it ends is known before
    running.cancel()
    await asyncio.wait({running})
    assert said(world) == CREATED


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


async def test_tokens_that_are_not_given(tmp_path: Path, interface: Interface) -> None:
    world = world_of(tmp_path, interface, 'auth = { kind = "oauth2" }')
    for reply in (answer({"error": "invalid_client"}, 401), answer([]), Response("no json"), answer({"access_token": 5})):
        interface.answer = always(reply)
        with pytest.raises(TransientError, match="no token is given") as error:
            await poll(world)
        assert SECRET not in str(error.value)
    assert {asked.path for asked in interface.asked} == {"/token"}
    never = Response(status_code=401)
    interface.asked.clear()
    interface.answer = lambda asked: answer({"access_token": "t"}) if asked.path == "/token" else never
    with pytest.raises(TransientError, match="401"):
        await poll(world)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_an_interface_that_asks_for_patience_gets_it(tmp_path: Path, interface: Interface, status: int, form: str) -> None:
    def reply(asked: Asked) -> Response:
        if len(interface.asked) == 1:
            later = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
            return Response(status_code=status, headers={"Retry-After": "1" if form == "seconds" else later})
        return answer(rows(*range(7)))

    interface.answer = reply
    world = world_of(tmp_path, interface, "")
    await poll(world)
    first, second = interface.asked
    assert 0.9 <= second.at - first.at < 10
    assert said(world) == CREATED


async def test_so_many_questions_a_minute(tmp_path: Path, interface: Interface) -> None:
    interface.answer = by_number
    world = world_of(tmp_path, interface, 'per_minute = 120\nrecords = "data.items"\npage = { kind = "page" }')
    await poll(world)
    times = [asked.at for asked in interface.asked]
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.4


async def test_nobody_is_sent_elsewhere(tmp_path: Path, interface: Interface) -> None:
    other = Interface(lambda asked: answer(rows(1)))
    with other.serving():
        world = world_of(tmp_path, interface, 'poll_seconds = 0.1\nauth = { kind = "header" }\npage = { kind = "link" }')
        for reply in (
            Response(status_code=302, headers={"Location": f"{other.url}/api/samples"}),
            Response(status_code=301, headers={"Location": f"https://127.0.0.1:{interface.port}/"}),
            answer(rows(1), headers={"Link": f'<{other.url}/api/samples>; rel="next"'}),
        ):
            interface.answer = always(reply)
            with pytest.raises((TransientError, ConfigurationError), match="another host"):
                await poll(world)
        assert other.asked == []
    interface.answer = lambda asked: (
        answer(rows(*range(7))) if asked.path == "/api/v2" else Response(status_code=308, headers={"Location": "/api/v2?a=b"})
    )
    world = world_of(tmp_path / "same", interface, "")
    await poll(world)
    assert said(world) == CREATED
    interface.answer = lambda asked: Response(status_code=302, headers={"Location": "/api/samples"})
    with pytest.raises(TransientError, match="redirects"):
        await poll(world)


async def test_what_is_no_answer(tmp_path: Path, interface: Interface) -> None:
    world = world_of(
        tmp_path, interface, 'body_bytes = 1000\ntimeout_seconds = 0.3\npoll_seconds = 0.1\nmost_pages = 5\npage = { kind = "page" }'
    )
    endless = [{"no": "1", "value": "a"}]
    for reply, why in (
        (lambda asked: Response("[" + " " * 1_000 + "]"), "larger than 1000"),
        (lambda asked: answer({"no": "1"}), "no list"),
        (lambda asked: answer(endless), "same page"),
        (lambda asked: answer(rows(int(asked.params["page"]))), "more than 5 pages"),
        (lambda asked: Response(status_code=304), "was not asked"),
        (late, "ReadTimeout"),
    ):  # fmt: skip
        interface.answer = reply
        with pytest.raises((TransientError, ConfigurationError), match=why):
            await poll(world)


async def test_records_that_are_none(tmp_path: Path, interface: Interface) -> None:
    interface.answer = lambda asked: answer([*rows(1), 5, "x", None, [1], {"no": "2", "value": "\ud800"}, *rows(3)])
    world = world_of(tmp_path, interface, "")
    await poll(world)
    await poll(world)
    assert {subject for _, subject, _ in said(world)} == {"1", "3"}
    assert sorted(entry.reason["rule"] for entry in await world.quarantine()) == ["bad_text", *["not_an_object"] * 4]


@pytest.mark.parametrize("url", ["", "127.0.0.1", "ftp://x/y", "http://", "http://h/?k=secret-value", "http://[::secret-value"])
def test_an_address_that_is_none_is_a_fault_of_configuration(tmp_path: Path, interface: Interface, url: str) -> None:
    world = world_of(tmp_path, interface, "")
    world.environ["BUS_LAB__BASE_URL"] = url
    with pytest.raises(ConfigurationError, match="BUS_LAB__BASE_URL") as error:
        world.runner()
    assert "secret-value" not in str(error.value)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"path": "x"}, "path"), ({"path": "/x?y"}, "path"), ({"whole": True, "key": ()}, "whole"),
        ({"whole": True, "since": {"field": "a", "look_back": 1}}, "since"),
        ({"since": {"field": "a", "look_back": 1, "first": "gestern"}}, "since.first"),
        ({"deleted": {"field": "a", "values": ["x"]}, "key": ()}, "deleted"),
        ({"format": "json-lines", "records": "x"}, "records"), ({"format": "json-lines", "page": {"kind": "cursor", "field": "x"}}, "page"),
        ({"page": {"kind": "page"}, "params": {"page": "1"}}, "params.page"),
    ],
)  # fmt: skip
def test_faults_of_the_manifest(more: dict[str, Any], field: str) -> None:
    spec = HttpSpec.model_validate({"type": "http", "path": "/x", "key": ("a",), **more})
    assert [name for name, _ in spec.faults()] == [field]


@pytest.mark.parametrize(
    ("form", "seen", "expected"),
    [
        ("iso", "2026-01-01T07:01:00", "2026-01-01T07:00:00+07:00"), ("iso", "2026-01-01T00:01:00Z", "2026-01-01T07:00:00+07:00"),
        ("date", "2026-01-02", "2026-01-01"), ("unix", 1_000_060, "1000000"), ("unix-ms", 1_000_060_000, "1000000000"), ("number", 560, "500"),
    ],
)  # fmt: skip
def test_forms_of_what_is_newer(form: str, seen: object, expected: str) -> None:
    since = Since.model_validate({"field": "at", "form": form, "look_back": 60})
    newest = moved(
        since, None, [Received({"at": seen}), Received({"at": True}), Received({"at": "x"}), Received()], datetime(2026, 6, 1, tzinfo=UTC)
    )
    assert asked(since, newest) == expected
    assert asked(since, moved(since, newest, [], datetime(2026, 6, 1, tzinfo=UTC))) == expected
