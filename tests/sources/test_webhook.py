"""The ingress over real HTTP: what is let in, what it becomes, what its sender is told."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.errors import ConfigurationError
from bus.ingest.kinds.webhook_keys import signature
from tests.pipeline.ingest_world import World
from tests.sources.webhook_world import KEY, OTHER_KEY, drained, posting, webhook_world

EVENT = {"specversion": "1.0", "source": "/lab", "type": "sample"}
STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"


def event(id_: str, no: str, value: str = "a", **more: object) -> dict[str, Any]:
    return {**EVENT, "id": id_, "data": {"no": no, "value": value}, **more}


def said(world: World) -> list[tuple[str, str, object]]:
    return [(e.op.value, e.event.subject, e.event.data["value"]) for e in world.folded()]


async def send(client: httpx.AsyncClient, content: object, kind: str = "application/json", **headers: str) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("samples", content=body, headers={"Content-Type": kind, **named})


async def test_every_form_of_a_post(tmp_path: Path) -> None:
    world = webhook_world(tmp_path)
    async with posting(world) as client:
        answers = [
            await send(client, {"no": "1", "value": "a"}),
            await send(client, [{"no": "2", "value": "a"}, {"no": "3", "value": "a"}]),
            await send(client, b'{"no": "4", "value": "a"}\r\n\n{"no": "5", "value": "a"}', "application/x-ndjson; charset=utf-8"),
            await send(client, event("e6", "6"), STRUCTURED),
            await send(client, [event("e7", "7"), event("e8", "8")], BATCHED),
            await send(client, {"no": "9", "value": "a"}, ce_specversion="1.0", ce_id="e9", ce_source="/lab", ce_type="sample"),
            await send(client, gzip.compress(json.dumps({"no": "10", "value": "a"}).encode()), Content_Encoding="gzip"),
            await send(client, []),
        ]
        assert [answer.status_code for answer in answers] == [202] * 8
        assert [answer.json()["accepted"] for answer in answers] == [1, 2, 2, 1, 2, 1, 1, 0]
        assert answers[1].json()["records"][1] == {"record": 2, "outcome": "accepted", "number": 3}
        await drained(world, 10)
        assert said(world) == [("CREATE", str(n), "a") for n in range(1, 11)]
        await send(client, [{"no": "1", "value": "b"}, {"no": "2", "value": "HAPUS"}, {"no": "3", "value": "a"}])
        await drained(world, 12)
    assert said(world)[10:] == [("CORRECT", "1", "b"), ("CANCEL", "2", "a")]


async def test_what_was_accepted_under_an_id_is_known_also_after_a_restart(tmp_path: Path) -> None:
    world = webhook_world(tmp_path)

    async def all_of_it() -> list[int]:
        async with posting(world) as client:
            answers = [
                await send(client, event("x", "1"), STRUCTURED),
                await send(client, {"no": "2", "value": "a"}, Idempotency_Key="k"),
                await send(client, [{"no": "3", "value": "a"}, {"no": "4", "value": "a"}], Idempotency_Key="k"),
                await client.post("notes", json=[{"no": "5", "value": "a"}, {"no": "5", "value": "a"}]),
                # The same id of another sender is another one.
                await send(client, event("x", "6", source="/other"), STRUCTURED),
            ]
            assert {answer.status_code for answer in answers} == {202}
            return [answer.json()["known"] for answer in answers]

    assert await all_of_it() == [0, 0, 0, 1, 0]
    assert await all_of_it() == [1, 1, 2, 2, 1]
    await world.run()
    assert sorted(said(world)) == [("CREATE", str(n), "a") for n in range(1, 7)]


async def test_every_field_that_is_wrong_is_named_and_no_person(tmp_path: Path) -> None:
    world = webhook_world(tmp_path)
    wrong = {"no": "", "count": "Budi Santoso", "nik": "33740101019000012", "patient": {"nama": 5, "alamat": "Jl. Merapi 7"}, "extra": "x"}
    async with posting(world) as client:
        answer = await send(client, wrong)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        (record,) = answer.json()["records"]
        assert {(error["field"], error["rule"]) for error in record["errors"]} == {
            ("no", "out_of_range"), ("count", "invalid_value"), ("nik", "out_of_range"), ("patient.nama", "invalid_value"),
            ("patient.alamat", "unknown_field"), ("extra", "unknown_field"),
        }  # fmt: skip
        assert all(error["message"].startswith("Catatan 1") and error["message_en"].startswith("Record 1") for error in record["errors"])
        assert "33740101019000012" not in answer.text
        assert "Merapi" not in answer.text
        mixed = await send(client, [{"no": "1"}, wrong, 7, {"no": "2", "value": "\ud800"}, {"no": "3"}])
        assert mixed.status_code == 202
        assert [each["outcome"] for each in mixed.json()["records"]] == ["accepted", "refused", "refused", "refused", "accepted"]
        assert [each["errors"][0]["rule"] for each in mixed.json()["records"][2:4]] == ["not_an_object", "bad_text"]
        assert (await send(client, [wrong, wrong])).status_code == 422
        lines = await send(client, b'{"no": "4"}\n{"no": \n{"no": "5"}', "application/jsonl")
        assert lines.json()["records"][1]["errors"][0]["rule"] == "broken_json"
        broken = await send(client, {"specversion": "0.3", "id": "", "type": 5, "data": "x", "datacontenttype": "text/xml"}, STRUCTURED)
        assert {error["field"] for error in broken.json()["records"][0]["errors"]} == {
            "id", "source", "type", "specversion", "datacontenttype", "data",
        }  # fmt: skip
    await world.run()
    entries = await world.quarantine()
    assert len(entries) == 8
    assert all(entry.sealed for entry in entries)
    assert sorted(subject for _, subject, _ in said(world)) == ["1", "3", "4", "5"]


@pytest.mark.parametrize(
    ("content", "kind", "headers", "status"),
    [
        (b"{", "application/json", {}, 400),
        (b"", "application/json", {}, 400),
        (b"[NaN]", "application/json", {}, 400),
        (b'{"no": "\xff"}', "application/json", {}, 400),
        (b"[" * 60_000, "application/json", {}, 400),
        (b'{"no":' * 900 + b"1" + b"}" * 900, "application/json", {}, 400),
        (b"1" * 5_000, "application/json", {}, 400),
        (b"{}", BATCHED, {}, 400),
        (b"{}", "application/json", {"Content-Encoding": "gzip"}, 400),
        (b"{}", "application/json", {"Content-Encoding": "br"}, 415),
        (b"{}", "text/csv", {}, 415),
        (b"{}", "application/json; charset=latin-1", {}, 415),
        (b"[" + b"0," * 4_000 + b"0]", "application/json", {}, 413),
        (b" " * 70_000, "application/json", {}, 413),
        (gzip.compress(b" " * 70_000), "application/json", {"Content-Encoding": "gzip"}, 413),
        (b"1e999", "application/json", {}, 422),
    ],
)  # fmt: skip
async def test_what_is_no_post(tmp_path: Path, content: bytes, kind: str, headers: dict[str, str], status: int) -> None:
    world = webhook_world(tmp_path, BUS_INGEST__INGRESS_BODY_BYTES="65536", BUS_INGEST__INGRESS_RECORDS="100")
    async with posting(world) as client:
        answer = await client.post("samples", content=content, headers={"Content-Type": kind, **headers})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        if status == 413:
            streamed = await client.post("samples", content=_pieces(content), headers={"Content-Type": kind, **headers})
            assert streamed.status_code == 413
        assert (await send(client, {"no": "1"})).status_code == 202, "and it goes on"


async def _pieces(content: bytes) -> Any:
    for start in range(0, len(content), 1_000):
        yield content[start : start + 1_000]


async def test_who_may_post(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    world = webhook_world(tmp_path, BUS_LAB__WEBHOOK_KEY=f"file:{keys}")
    body = json.dumps({"no": "1", "value": "a"}).encode()
    now = int(time.time())
    async with posting(world) as client:
        del client.headers["X-Api-Key"]

        async def status(url: str = "samples", **headers: str) -> int:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return (await client.post(url, content=body, headers={"Content-Type": "application/json", **named})).status_code

        assert await status() == 401
        assert await status(X_Api_Key=OTHER_KEY) == 401
        assert await status(X_Api_Key=KEY) == await status(Authorization=f"bearer {KEY}") == 202
        assert await status(Authorization=f"Basic {KEY}") == 401
        right = signature(KEY.encode(), now, body)
        assert await status(X_Simpul_Signature=right) == await status("signed", X_Simpul_Signature=right) == 202
        assert await status("signed", X_Api_Key=KEY) == 401
        assert await status(X_Simpul_Signature=right, X_Api_Key=OTHER_KEY) == 401, "whatever is shown must be right"
        late, early = (signature(KEY.encode(), now + shift, body) for shift in (-400, 400))
        for wrong in (
            late, early, signature(OTHER_KEY.encode(), now, body), signature(KEY.encode(), now, body + b" "), "", "t=1", f"t={now},v1=",
            f"t={now}", right.replace("v1", "v0"), f"t={now},{right}", "t=²,v1=a",
        ):  # fmt: skip
            answer = await client.post(
                "signed", content=body, headers=[(b"content-type", b"application/json"), (b"x-simpul-signature", wrong.encode())]
            )
            assert answer.status_code == 401, wrong
        assert await status("none", X_Api_Key=KEY) == 404
        keys.write_text(f"{OTHER_KEY}\n{KEY}\n")
        assert await status(X_Api_Key=KEY) == await status(X_Api_Key=OTHER_KEY) == 202, "both while one replaces the other"
        keys.write_text(f"{OTHER_KEY}\n")
        assert (await status(X_Api_Key=KEY), await status(X_Api_Key=OTHER_KEY)) == (401, 202)
        keys.unlink()
        assert await status(X_Api_Key=OTHER_KEY) == 202


@pytest.mark.parametrize("value", ["pendek", "", "a" * 20 + "," + "b" * 20 + "," + "c" * 20, "file:/nowhere/at/all"])
def test_keys_that_cannot_be_used_are_a_fault_of_configuration(tmp_path: Path, value: str) -> None:
    world = webhook_world(tmp_path, BUS_LAB__WEBHOOK_KEY=value)
    with pytest.raises(ConfigurationError, match="BUS_LAB__WEBHOOK_KEY") as error:
        world.runner()
    assert not value or value not in str(error.value)


async def test_who_posts_too_much_is_told_when_to_come_back(tmp_path: Path) -> None:
    world = webhook_world(tmp_path, BUS_INGEST__INGRESS_POSTS_PER_SECOND="5")
    async with posting(world) as client:
        answers = await asyncio.gather(*(send(client, {"no": str(n)}) for n in range(20)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert 10 <= len(refused) <= 15
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        await asyncio.sleep(1)
        assert (await send(client, {"no": "1"})).status_code == 202


async def test_a_full_spool_is_told_and_takes_posts_again_once_it_has_drained(tmp_path: Path) -> None:
    world = webhook_world(tmp_path, BUS_INGEST__SPOOL_BYTES=str(1 << 20))
    world.log.fail_next()
    away = True

    def hook(message: object) -> None:
        if away:
            from bus.errors import TransientError

            raise TransientError("no broker")

    world.log.on_effect = hook
    accepted = 0
    async with posting(world) as client:
        async with asyncio.timeout(60):
            while (answer := await send(client, [{"no": f"{accepted + n}", "value": "x" * 200} for n in range(500)])).status_code == 202:
                accepted += 500
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 10
        away = False
        async with asyncio.timeout(60):
            while (await send(client, {"no": "last", "value": "a"})).status_code != 202:
                await asyncio.sleep(0.1)
        await drained(world, accepted + 1)
    assert len(said(world)) == accepted + 1


async def test_days_offline_and_then_all_at_once(tmp_path: Path) -> None:
    world = webhook_world(tmp_path)
    async with posting(world) as client:
        client.timeout = httpx.Timeout(120)
        records = [{"no": str(n), "value": "a"} for n in range(10_000)]
        answer = await send(client, gzip.compress(json.dumps(records).encode()), Content_Encoding="gzip")
        assert (answer.status_code, answer.json()["accepted"]) == (202, 10_000)
        assert (await send(client, [*records, {"no": "x"}])).status_code == 413
        old = event("old", "old", time="2021-05-06T07:08:09+07:00")
        answer = await client.post("notes", content=json.dumps(old), headers={"Content-Type": STRUCTURED})
        assert answer.status_code == 202
        await drained(world, 10_001)
    assert {e.event.occurred_at.year for e in world.folded() if e.event.subject == "old"} == {2021}
