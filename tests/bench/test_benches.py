"""The benches of a whole site in their smallest size, so that they still run when somebody wants to measure."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from bus.settings import KafkaSettings
from tests.bench import crowd, pixels
from tests.bench.pixel_stages import STAGES
from tests.bench.site import percentile
from tests.browser.chromium import missing
from tests.conftest import unavailable


@pytest.fixture
def kafka(make_embedded, settings_of) -> KafkaSettings:
    return settings_of(make_embedded())


def test_every_subscriber_gets_every_change_and_slow_ones_afterwards(kafka: KafkaSettings, tmp_path: Path) -> None:
    options = Namespace(clients=6, slow=2, changes=4, per_second=20.0)
    alone, beside = crowd.run(kafka, tmp_path, options).values()
    assert (alone.missing, beside.missing) == (0, 0)
    assert [len(alone.deliveries), len(beside.deliveries)] == [6 * 4, 4 * 4]
    assert min(*alone.deliveries, *beside.deliveries, *alone.bare, *beside.bare) > 0
    found = {result["name"]: result for result in crowd.results([alone, beside], options.clients)}
    assert found["subscribers_p99_ms"]["ours"] >= found["subscribers_p50_ms"]["ours"]
    assert found["subscribers_beside_slow_p50_ms"]["peer"] == found["subscribers_p50_ms"]["ours"]


async def test_a_commit_comes_to_pixels_through_every_stage(kafka: KafkaSettings, tmp_path: Path) -> None:
    if what := missing():
        unavailable(what)
    samples, bare, clock = await pixels.measure(kafka, tmp_path, 1)
    assert {name: [sample.number for sample in each] for name, each in samples.items()} == {"webhook": [1_000], "outbox": [2_000]}
    for sample in (sample for each in samples.values() for sample in each):
        assert sample.committed < sample.arrived <= sample.shown
        assert tuple(sample.stages) == STAGES
        assert sum(sample.stages.values()) == pytest.approx(sample.seconds, abs=1e-6)
        assert min(sample.stages.values()) > -clock - 0.002, "time stamps are of the same clock, in milliseconds"
    assert len(bare) == 2
    assert len(pixels.results(samples, bare)) == 4


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(1, 201)]
    assert (percentile(values, 50), percentile(values, 99), percentile([3.0], 99)) == (100.0, 198.0, 3.0)
