"""The webhook ingress at a thousand posts a second: what it takes, and how long a post waits for its durable 202.

    python -m tests.bench.webhook [--rate 1000] [--seconds 20] [--rounds 3] [--out build/bench.json]

Three processes: the server, the load, and this one. The load offers posts by the clock, over connections that stay open; a post's time begins when
it is due, not when a connection is free for it. Ours keeps its journal on disk (each answer is after an fsync) and sends to the log in
memory. The peer is FastAPI that parses the same bodies and answers at once. Then both as fast as they can. Prints a table and adds to the list of
{name, ours, peer, ratio, unit}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from rich.console import Console
from rich.table import Table

from bus.settings import ROOT
from tests.bench.results import OUT, Result, record
from tests.sources.webhook_world import KEY, free_port, posting, webhook_world

CONNECTIONS = 64
_WARM_SECONDS = 2.0
_PATH = "/v1/events/lab/samples"


def serve_ours(port: int, folder: Path) -> None:
    """A connector with the one source, until it is ended."""

    async def run() -> None:
        world = webhook_world(folder, BUS_INGEST__INGRESS_PORT=str(port), BUS_INGEST__INGRESS_POSTS_PER_SECOND="1000000")
        async with posting(world):
            await asyncio.Event().wait()

    asyncio.run(run())


def serve_peer(port: int) -> None:
    """What FastAPI costs by itself."""
    app = FastAPI()

    @app.post(_PATH, status_code=202)
    async def echo(request: Request) -> object:
        return await request.json()

    @app.get("/healthz")
    async def healthy() -> object:
        return {"sources": 1}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, timeout_keep_alive=65, backlog=2048)


class Load:
    """Offers posts and keeps their times. `rate` 0: each connection sends its next post when the last is answered."""

    def __init__(self, port: int, rate: float, seconds: float) -> None:
        self._port = port
        self._rate = rate
        self._until = seconds
        self._begun = 0.0
        self._next = 0
        # letters only: so many digits may be somebody's number, and would be refused
        self._stamp = "".join(secrets.choice(string.ascii_lowercase) for _ in range(12))
        self.seconds: list[float] = []
        self.refused = 0

    async def run(self) -> dict[str, float]:
        """Everything that was due is answered when this returns."""
        self._begun = time.perf_counter()
        await asyncio.gather(*(self._connection() for _ in range(CONNECTIONS)))
        took = time.perf_counter() - self._begun
        times = sorted(self.seconds)
        return {
            "per_second": len(times) / took, "refused": self.refused,
            **{f"p{part}": times[min(len(times) - 1, int(len(times) * part / 100))] * 1_000 for part in (50, 99)},
        }  # fmt: skip

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while True:
            number = self._next
            self._next += 1
            due = self._begun + number / self._rate if self._rate else time.perf_counter()
            if due - self._begun > self._until:
                break
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            writer.write(self._post(number))
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            self.refused += not head.startswith(b"HTTP/1.1 202")
            self.seconds.append(time.perf_counter() - due)
        writer.close()

    def _post(self, number: int) -> bytes:
        data = {"no": f"{self._stamp}-{number}", "value": "SELESAI", "count": number % 50}
        event = {
            "specversion": "1.0",
            "id": str(number),
            "source": self._stamp,
            "type": "sample",
            "time": "2026-03-02T09:14:00+07:00",
            "data": data,
        }
        body = json.dumps(event).encode()
        head = (
            f"POST {_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: {KEY}\r\nContent-Type: application/cloudevents+json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@contextmanager
def server(which: str, folder: Path) -> Iterator[int]:
    """That server, once it answers; its port."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.webhook", "--serve", which, "--port", str(port), "--folder", str(folder)], cwd=ROOT
    ) as process:
        try:
            while subprocess.run(["curl", "-fs", "-o", "/dev/null", f"http://127.0.0.1:{port}/healthz"], check=False).returncode:
                if process.poll() is not None:
                    raise SystemExit(f"the server {which} ended with {process.returncode}")
                time.sleep(0.1)
            yield port
        finally:
            process.kill()


def offered(port: int, rate: float, seconds: float) -> dict[str, float]:
    """A load from a process of its own."""
    command = [sys.executable, "-m", "tests.bench.webhook", "--load", str(rate), "--port", str(port), "--seconds", str(seconds)]
    found: dict[str, float] = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    if found["refused"]:
        raise SystemExit(f"{found['refused']:.0f} posts were not accepted")
    return found


def measure(rate: float, seconds: float, rounds: int) -> list[Result]:
    """Both servers in turn in every round; medians."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ("ours", "peer", "ours flat out", "peer flat out")}
    with tempfile.TemporaryDirectory() as folder, server("ours", Path(folder)) as ours, server("peer", Path(folder)) as peer:
        for port in (ours, peer):
            offered(port, rate, _WARM_SECONDS)
        for _ in range(rounds):
            for name, port in (("ours", ours), ("peer", peer)):
                found[name].append(offered(port, rate, seconds))
                found[f"{name} flat out"].append(offered(port, 0, seconds / 4))

    def median(name: str, what: str) -> float:
        return statistics.median(each[what] for each in found[name])

    def result(name: str, what: str, unit: str, load: str = "") -> Result:
        own, other = median(f"ours{load}", what), median(f"peer{load}", what)
        return Result(name=name, ours=own, peer=other, ratio=own / other, unit=unit)

    return [
        result("webhook_posts_per_second", "per_second", f"posts/s at {rate:,.0f} offered"),
        result("webhook_p50_ms", "p50", f"ms at {rate:,.0f} posts/s"),
        result("webhook_p99_ms", "p99", f"ms at {rate:,.0f} posts/s"),
        result("webhook_most_posts_per_second", "per_second", "posts/s", " flat out"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.webhook", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=1_000, help="posts offered a second")
    parser.add_argument("--seconds", type=float, default=20, help="how long a measurement is")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are reported")
    parser.add_argument("--out", type=Path, default=OUT, help="where the result is written")
    for hidden, kind in (("--serve", str), ("--load", float), ("--port", int), ("--folder", Path)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_ours(options.port, options.folder) if options.serve == "ours" else serve_peer(options.port)
        return 0
    if options.load is not None:
        print(json.dumps(asyncio.run(Load(options.port, options.load, options.seconds).run())))
        return 0
    results = measure(options.rate, options.seconds, options.rounds)
    _show(results)
    record(options.out, results)
    return 0


def _show(results: Sequence[Result]) -> None:
    table = Table("name", "ours", "peer", "ratio", "unit", title="the webhook ingress, with a durable journal; the peer is bare FastAPI")
    for result in results:
        assert result["peer"] is not None
        table.add_row(result["name"], f"{result['ours']:,.1f}", f"{result['peer']:,.1f}", f"{result['ratio']:,.2f}", result["unit"])
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
