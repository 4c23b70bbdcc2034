"""The cost of state: what a batch costs at a thousand, a hundred thousand and a million live cells, and what the state weighs.

    python -m tests.bench.state [--rounds 7] [--batches 6] [--out build/bench.json]

CPU time, each state in a process of its own, all sizes in turn in every round: the ratio to the smallest is the median of the rounds' ratios, so
what else the machine does falls on all alike. No Kafka. Prints a table and adds to the list of {name, ours, peer, ratio, unit}.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bus.settings import ROOT
from tests.bench.cells import EVENTS, REGIONS
from tests.bench.results import OUT, Result, record

SIZES = (1_000, 100_000, 1_000_000)
COSTS = ("fold_immutable", "fold_correctable", "merge")
KINDS = ("near", "scattered")
_MICRO = 1_000_000
_console = Console(stderr=True)


class Child:
    """A process that holds one state and answers questions about it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, question: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a measuring process ended with {self._process.wait()}")
        return json.loads(line)


@contextmanager
def child(job: str, size: int, kind: str = KINDS[0]) -> Iterator[Child]:
    """A process with that state, made for batches of that kind."""
    command = [sys.executable, "-m", "tests.bench.measuring", job, str(size), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        held = Child(process)
        held.answer()
        yield held
        assert process.stdin is not None
        process.stdin.close()


def costs(job: str, sizes: Sequence[int], rounds: int, batches: int) -> list[Result]:
    """Microseconds of CPU per event at each size, against the smallest."""
    results: list[Result] = []
    for kind in KINDS:
        with ExitStack() as held:
            children = [held.enter_context(child(job, size, kind)) for size in sizes]
            seconds = _rounds(children, f"{kind} {batches}", rounds)
            for size, (ours, peer, ratio) in zip(sizes[1:], _against_first(seconds), strict=True):
                name = f"state_{job}_{kind}_{size}_cells_vs_{sizes[0]}"
                results.append(
                    Result(name=name, ours=ours / EVENTS * _MICRO, peer=peer / EVENTS * _MICRO, ratio=ratio, unit="CPU µs/event")
                )
    return results


def tree(rounds: int, batches: int) -> list[Result]:
    """A batch that touches 200 RT, rolled up along the region tree or ranked, against the same without."""
    with child("flat", REGIONS) as flat, child("tree", REGIONS) as rolled, child("top", REGIONS) as ranked:
        seconds = _rounds([flat, rolled, ranked], f"near {batches}", rounds)
    return [
        Result(name=f"state_merge_{what}_of_{REGIONS}_rt", ours=ours * 1_000, peer=peer * 1_000, ratio=ratio, unit="CPU ms/batch")
        for what, (ours, peer, ratio) in zip(("tree", "top_10"), _against_first(seconds), strict=True)
    ]


def weights(job: str, size: int, what: str) -> list[Result]:
    """What a state of so many cells, or subjects, takes to be loaded, in memory, and in its snapshot."""
    with child(job, size) as held:
        loaded = [held.ask("load") for _ in range(3)]
        memory = held.ask("memory")["bytes"]
    seconds = statistics.median(each["seconds"] for each in loaded)
    return [
        _alone(f"recovery_{job}_{size}_{what}s", seconds, "CPU s"),
        _alone(f"memory_{job}_per_{what}", memory / size, "bytes"),
        _alone(f"snapshot_{job}_per_{what}", loaded[0]["bytes"] / size, "bytes"),
    ]


def _rounds(children: Sequence[Child], question: str, rounds: int) -> list[list[float]]:
    for each in children:
        each.ask(question)
    return [[each.ask(question)["seconds"] for each in children] for _ in range(rounds)]


def _against_first(rounds: Sequence[Sequence[float]]) -> list[tuple[float, float, float]]:
    """Of each child but the first: its median, the first's, and the median of their ratios."""
    first = statistics.median(each[0] for each in rounds)
    return [
        (statistics.median(each[place] for each in rounds), first, statistics.median(each[place] / each[0] for each in rounds))
        for place in range(1, len(rounds[0]))
    ]


def _alone(name: str, ours: float, unit: str) -> Result:
    return Result(name=name, ours=ours, peer=None, ratio=None, unit=unit)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.state", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=list(SIZES), help="live cells; the first is what the others are compared with"
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds; medians are reported")
    parser.add_argument("--batches", type=int, default=6, help="batches of a round")
    parser.add_argument("--only", choices=[*COSTS, "tree", "weights"], help="one part only")
    parser.add_argument("--out", type=Path, default=OUT, help="where the result is written")
    options = parser.parse_args()
    results: list[Result] = []
    for job in COSTS:
        if options.only in (None, job):
            with _console.status(f"{job} at {', '.join(f'{size:,}' for size in options.sizes)} cells"):
                results += costs(job, options.sizes, options.rounds, options.batches)
    if options.only in (None, "tree"):
        with _console.status("the region tree"):
            results += tree(options.rounds, options.batches)
    if options.only in (None, "weights"):
        for job, what in (("fold_immutable", "cell"), ("fold_subjects", "subject"), ("merge", "cell")):
            with _console.status(f"the weight of {job}"):
                results += weights(job, options.sizes[-1], what)
    _show(results)
    record(options.out, results)
    _console.print(f"written to {options.out}")
    return 0


def _show(results: Sequence[Result]) -> None:
    table = Table("name", "ours", "peer", "ratio", "unit", title=f"the cost of state: batches of {EVENTS:,} events")
    for result in results:
        peer, ratio = ("" if each is None else f"{each:,.2f}" for each in (result["peer"], result["ratio"]))
        table.add_row(result["name"], f"{result['ours']:,.2f}", peer, ratio, result["unit"])
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
