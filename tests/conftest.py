"""What every test may ask for: a log in memory, brokers on this machine, the real data; and a word at the end on what could not run.

Tests that share the session's broker name their topics after the `prefix` fixture; tests of the bus as a whole, whose topics have
fixed names, ask for `clean_broker`.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest
import structlog

from bus.errors import ConfigurationError
from bus.kafka.admin import delete_topics
from bus.kafka.embedded import EmbeddedBroker, embedded_binary
from bus.kafka.node import KafkaNode, ensure_jars, missing_tools
from bus.settings import ROOT, KafkaSettings
from bus.simulation.mosquitto import Mosquitto, mosquitto_binary
from bus.simulation.servers import PostgresServer, postgres_binaries
from bus.testing.memory import MemoryLog

# Tests run side by side and start processes: threads for batches of a few rows would only get into each other's way.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

#: `make soak`: campaigns and property tests in full size.
SOAK = os.environ.get("SIMPUL_SOAK") == "1"

#: How many times as much `make soak` generates as `make test`.
_SOAK_TIMES = 6

hypothesis.settings.register_profile("bus", deadline=None, max_examples=50, print_blob=True)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=50 * _SOAK_TIMES, print_blob=True)
hypothesis.settings.load_profile("soak" if SOAK else "bus")


def examples(number: int) -> int:
    """`max_examples` of a property test whose examples are dear (or cheap): so many in `make test`, in the same ratio more in `make soak`."""
    return number * _SOAK_TIMES if SOAK else number


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: one more than there are cores, because tests with servers wait a good part of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every property test is a campaign."""
    for item in items:
        if isinstance(item, pytest.Function) and hypothesis.is_hypothesis_test(item.function):
            item.add_marker(pytest.mark.soak)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes name no test: those of an archive hold the time at which it was made, and two processes would not know one another's tests."""
    return argname if isinstance(val, bytes | bytearray) else None


#: Begins the reason of every skip that something missing on this machine causes.
_NEEDS = "needs "


def unavailable(what: str) -> NoReturn:
    """Skip the test because this machine lacks something; in CI, where everything has to be there, fail it."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"{_NEEDS}{what}; in CI nothing may be missing")
    pytest.skip(_NEEDS + what)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
            if reason.startswith(_NEEDS):
                reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        terminalreporter.section("not run on this machine")
        for reason, count in sorted(reasons.items()):
            terminalreporter.write_line(f"{count} test(s): {reason}")


@pytest.fixture(autouse=True)
def _logging_of_its_own() -> Iterator[None]:
    """Whatever logging a test configures ends with it: others look at what is logged."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def memory_log() -> MemoryLog:
    """An empty log; make its topics with `create`."""
    return MemoryLog()


@pytest.fixture
def prefix() -> str:
    """A beginning for topic names that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def make_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], EmbeddedBroker]]:
    """Starts as many embedded brokers as a test needs, each on its own port; all are stopped at the end."""
    try:
        embedded_binary()
    except ConfigurationError as error:
        unavailable(str(error))
    brokers: list[EmbeddedBroker] = []

    def make() -> EmbeddedBroker:
        broker = EmbeddedBroker(tmp_path_factory.mktemp("embedded"))
        broker.start()
        brokers.append(broker)
        return broker

    yield make
    for broker in brokers:
        broker.stop()


@pytest.fixture(scope="session")
def embedded_broker(make_embedded: Callable[[], EmbeddedBroker]) -> EmbeddedBroker:
    """The session's embedded broker."""
    return make_embedded()


@pytest.fixture(scope="session")
def kafka_tools() -> None:
    """Java, Maven and Kafka's jars, or a skip that says what to install."""
    if problems := missing_tools():
        unavailable("; ".join(str(problem) for problem in problems))
    ensure_jars()


@pytest.fixture(scope="session")
def kafka_node(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """The session's real Kafka node. A test that kills or freezes it leaves it running."""
    node = KafkaNode(tmp_path_factory.mktemp("kafka"), overrides={"log.cleaner.backoff.ms": "200"})
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's PostgreSQL. A test that kills it leaves it running."""
    binaries = postgres_binaries()
    if binaries is None:
        unavailable("PostgreSQL: install the package postgresql")
    server = PostgresServer(binaries, "postgres")
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _settings_of(broker: EmbeddedBroker | KafkaNode) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=broker.bootstrap_servers,
        embedded=isinstance(broker, EmbeddedBroker),
        retry_seconds=30,
        request_timeout_seconds=10,
    )


@pytest.fixture(scope="session")
def settings_of() -> Callable[[EmbeddedBroker | KafkaNode], KafkaSettings]:
    """Settings for clients of a broker, impatient enough for a test."""
    return _settings_of


_BOTH = [pytest.param("embedded"), pytest.param("kafka", marks=pytest.mark.kafka)]
#: For a campaign's `clean_broker`: both in `make soak`, in `make test` the real one where it can be had and else the embedded.
CAMPAIGN_BROKERS = _BOTH if SOAK else [pytest.param("either")]


@pytest.fixture(params=_BOTH)
def broker(request: pytest.FixtureRequest) -> KafkaSettings:
    """The session's brokers, one after the other; name topics after `prefix`."""
    return _settings_of(request.getfixturevalue("embedded_broker" if request.param == "embedded" else "kafka_node"))


@pytest.fixture(params=_BOTH)
def clean_broker(request: pytest.FixtureRequest) -> Iterator[KafkaSettings]:
    """A broker without any topic: a fresh embedded one, and the session's Kafka emptied."""
    if request.param == "embedded" or (request.param == "either" and missing_tools()):
        fresh: EmbeddedBroker = request.getfixturevalue("make_embedded")()
        yield _settings_of(fresh)
        fresh.stop()
    else:
        settings = _settings_of(request.getfixturevalue("kafka_node"))
        asyncio.run(delete_topics(settings, lambda name: not name.startswith("__")))
        yield settings


@pytest.fixture(scope="session")
def bus_test_data() -> Path:
    """The folder of real data: `BUS_TEST_DATA`, else `../shared/data` beside the repository."""
    folder = Path(os.environ.get("BUS_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        unavailable(f"the real data in {folder}, which are not in the repository; set BUS_TEST_DATA to where they are")
    return folder


MakeMosquitto = Callable[..., Mosquitto]


@pytest.fixture
def make_mosquitto(tmp_path: Path) -> Iterator[MakeMosquitto]:
    """Starts as many MQTT brokers as a test needs, with other settings where it names some; all are ended with it."""
    if mosquitto_binary() is None:
        unavailable("Mosquitto: install the package mosquitto")
    brokers: list[Mosquitto] = []

    def make(**more: object) -> Mosquitto:
        broker = Mosquitto(tmp_path / f"mosquitto{len(brokers)}", **more)
        broker.start()
        brokers.append(broker)
        return broker

    yield make
    for broker in brokers:
        broker.kill()


@pytest.fixture
def mosquitto(make_mosquitto: MakeMosquitto) -> Mosquitto:
    """A running MQTT broker."""
    return make_mosquitto()
