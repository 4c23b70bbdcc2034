"""What outsiders get of a site: the portal's datasets and the alerts, asked for as they would and held against the log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from bus.errors import BusError
from bus.events.codec import Codec
from bus.indicators.windows import NOW_START, to_datetime, to_micros
from bus.kafka.ports import LogReader, TopicPartition
from bus.kafka.topics import PUBLIC_PREFIX
from bus.ops.installation import Installation
from bus.ops.values import read_values

T = TypeVar("T")

#: (begin of the window, dimension values): one cell.
_Key = tuple[str | None, tuple[str | None, ...]]
#: Whether it is withheld, and value, numerator, denominator, n and revision.
_Said = tuple[object, ...]

_NUMBERS = ("suppressed", "value", "numerator", "denominator", "n", "revision")
_SECONDS, _POLL_SECONDS = 90.0, 0.5


@dataclass(frozen=True, slots=True)
class Published:
    """What a portal serves: datasets and their rows; of these the withheld ones, and those that moved on since they were let out."""

    datasets: int = 0
    rows: int = 0
    suppressed: int = 0
    superseded: int = 0


async def published(url: str, installation: Installation, reader: LogReader, *, seconds: float = _SECONDS) -> Published:
    """What the portal at `url` serves once its rows are those of the public topics, which it follows a little behind.

    Raises `BusError` when they are not after `seconds`, when it serves no dataset, or when a number that is shown is not that of the live row
    of the same revision.
    """
    problem = "nothing was asked"

    async def look(client: httpx.AsyncClient) -> Published | None:
        nonlocal problem
        found = Published()
        for name in [str(each["id"]) for each in (await _json(client, "/api/datasets"))["datasets"]]:
            served = _served(await _json(client, f"/dataset/{name}/latest/{name}.json"), installation.indicators[name].definition["dims"])
            public = await _public(reader, installation.codec, name)
            if served != public:
                problem = (
                    f"{name}: {len(served)} rows are served, {len(public)} are public, {len(served.items() & public.items())} are the same"
                )
                return None
            later = await _superseded(installation, reader, name, public)
            withheld = sum(bool(said[0]) for said in public.values())
            found = Published(
                found.datasets + 1, found.rows + len(public), found.suppressed + withheld, found.superseded + later
            )  # fmt: skip
        problem = "no dataset is served"
        return found if found.datasets else None

    return await _until(url, look, lambda: f"the portal does not serve what is public after {seconds:.0f} s: {problem}", seconds)


async def alerts(url: str, *, seconds: float = _SECONDS) -> int:
    """How many episodes the alerts consumer at `url` serves. Raises `BusError` when it has not read the log to its end after `seconds`."""

    async def look(client: httpx.AsyncClient) -> int | None:
        return len((await _json(client, "/v1/alerts"))["alerts"])

    return await _until(url, look, lambda: f"the alerts are not served after {seconds:.0f} s", seconds)


async def _until(url: str, look: Callable[[httpx.AsyncClient], Awaitable[T | None]], problem: Callable[[], str], seconds: float) -> T:
    deadline = asyncio.get_running_loop().time() + seconds
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=seconds) as client:
        while True:
            try:
                found = await look(client)
            except (httpx.HTTPError, ValueError):
                found = None
            if found is not None:
                return found
            if asyncio.get_running_loop().time() > deadline:
                raise BusError(problem())
            await asyncio.sleep(_POLL_SECONDS)


async def _json(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    answer.raise_for_status()
    return answer.json()


def _served(body: Any, dimensions: list[str]) -> Mapping[_Key, _Said]:
    return {(row["window_start"], tuple(row[name] for name in dimensions)): tuple(row[name] for name in _NUMBERS) for row in body["rows"]}


async def _public(reader: LogReader, codec: Codec, name: str) -> Mapping[_Key, _Said]:
    """The newest row of each cell in the topic; those that nothing is left in are none, but for closings, which end what stood before them."""
    partition = TopicPartition(PUBLIC_PREFIX + name, 0)
    newest: dict[bytes | None, Mapping[str, Any]] = {}
    async for batch in reader.read(partition, await reader.beginning(partition), await reader.end(partition)):
        newest |= {record.key: codec.decode(record.value, record.headers) for record in batch if record.value is not None}
    rows = [row for row in newest.values() if row["suppressed"] or row["n"] or row["closing"]]
    return {
        _key(to_micros(row["window_start"]), [each["value"] for each in row["dimensions"]]): tuple(row[part] for part in _NUMBERS)
        for row in rows
    }


async def _superseded(installation: Installation, reader: LogReader, name: str, public: Mapping[_Key, _Said]) -> int:
    """How many shown rows say something else by now: they have a newer revision, or tell an age.

    Raises `BusError` for one that has no live row, or one of the same revision with other numbers.
    """
    live = {_key(value.window_start_us, value.dimensions.values()): value for value in await read_values(reader, installation.codec, name)}
    later = 0
    for key, said in public.items():
        if said[0]:
            continue
        value = live.get(key)
        now = (False, value.value, value.numerator, value.denominator, value.n, value.revision) if value is not None else None
        if now != said:
            if value is None or (value.revision == said[-1] and value.as_of_us is None):
                raise BusError(f"{name}: {key} was let out as {said[1:]}, and live is {now and now[1:]}")
            later += 1
    return later


def _key(start_us: int, dimensions: Any) -> _Key:
    return None if start_us == NOW_START else to_datetime(start_us).isoformat(), tuple(dimensions)
