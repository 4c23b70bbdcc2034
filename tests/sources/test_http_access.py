"""The kind `http`: who asks, how often, where it is sent, and what is no answer."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from bus.errors import ConfigurationError, TransientError
from bus.ingest.kinds.http_since import asked, moved
from bus.ingest.kinds.http_spec import HttpSpec, Since
from bus.ingest.stream import Received
from tests.sources.http_server import Asked, Interface
from tests.sources.http_world import CREATED, SECRET, always, answer, by_number, late, poll, rows, said, world_of


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
