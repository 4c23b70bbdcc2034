"""One state in a process of its own, so that nothing else's memory is collected or counted with it.

    python -m tests.bench.measuring fold_immutable 1000000 near

Answers one line of JSON for each line of stdin: `near 10` or `scattered 10` runs so many batches and gives the CPU seconds of one; `load`
gives the size of its snapshot and the CPU seconds to load it; `memory` how many bytes of memory the loaded state has.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping

from bus.streams.running import GC_THRESHOLDS
from tests.bench.cells import FoldJob, Job, MergeJob, TreeJob

_FEW = 1_000
JOBS: Mapping[str, Callable[[int, str], Job]] = {
    "fold_immutable": lambda size, kind: FoldJob(size, kind, correctable=False),
    "fold_correctable": lambda size, kind: FoldJob(size, kind, correctable=True),
    "fold_subjects": lambda size, kind: FoldJob(_FEW, kind, correctable=True, subjects=size),
    "merge": MergeJob,
    "tree": lambda *_: TreeJob(region=True),
    "top": lambda *_: TreeJob(top=10),
    "flat": lambda *_: TreeJob(),
}


def answer(job: Job, words: list[str]) -> object:
    """What one line asks for."""
    if words[0] == "memory":
        return {"bytes": _memory(job)}
    if words[0] == "load":
        blocks = job.dump()
        begun = time.process_time()
        held = job.load(blocks)
        seconds = time.process_time() - begun
        del held
        return {"bytes": sum(map(len, blocks.values())), "seconds": seconds}
    return {"seconds": job.run(words[0], int(words[1]))}


def _memory(job: Job) -> int:
    blocks = job.dump()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    held = job.load(blocks)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del held
    return after - before


def main() -> None:
    gc.set_threshold(*GC_THRESHOLDS)  # as a worker does
    job = JOBS[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(job, line.split())), flush=True)


if __name__ == "__main__":
    main()
