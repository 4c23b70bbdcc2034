"""The kind `http` against a server on this machine: every form of paging and of knowing who asks; and what goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from bus.clock import LOCAL_ZONE
from bus.errors import TransientError
from tests.pipeline.ingest_world import World
from tests.sources.http_server import Asked, Broken, Interface
from tests.sources.http_world import CREATED, answer, by_number, poll, rows, said, world_of
from tests.sources.webhook_world import MAPPING


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
