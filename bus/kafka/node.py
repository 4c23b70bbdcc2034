"""A real Apache Kafka node on this machine, in KRaft mode, from Maven Central: no root, no Docker, only Java and Maven."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bus.errors import ConfigurationError, Problem, TransientError
from bus.kafka.process import LOCALHOST, BrokerProcess, free_port
from bus.settings import ROOT

DEPLOY = ROOT / "deploy" / "kafka"
#: Kafka 4 brokers do not run on an older one.
MIN_JAVA = 17
#: All nodes that this module starts are clusters of their own; the id only has to be well formed.
_CLUSTER_ID = "c2ltcHVsLXNpbXB1bC0wMQ"
_JAVA_OPTIONS = (
    "-Xmx512m",
    "-Xms128m",
    "-Djava.awt.headless=true",
    f"-Dlog4j2.configurationFile={(DEPLOY / 'log4j2.properties').as_uri()}",
)


def kafka_version() -> str:
    """The version that deploy/kafka/pom.xml names."""
    match = re.search(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([^<]+)</version>", (DEPLOY / "pom.xml").read_text())
    if match is None:
        raise ConfigurationError([Problem(str(DEPLOY / "pom.xml"), "names no version of org.apache.kafka:kafka_2.13")])
    return match[1]


def jars_folder() -> Path:
    """Where the jars are kept for every checkout of this user."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "simpul" / f"kafka-{kafka_version()}"


def missing_tools() -> list[Problem]:
    """What has to be installed before a node can start; empty when all is there."""
    problems = []
    mend = f"install Java {MIN_JAVA} or newer (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk)"
    java = shutil.which("java")
    if java is None:
        problems.append(Problem("java", f"not found; {mend}"))
    else:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603 - found on the PATH
        match = re.search(r'version "(\d+)', said)
        if match is None or int(match[1]) < MIN_JAVA:
            problems.append(
                Problem(java, f"is too old for Kafka {kafka_version()}: {mend}; it says: {said.splitlines()[0] if said else 'nothing'}")
            )
    if shutil.which("mvn") is None and not _jars_complete():
        problems.append(
            Problem(
                "mvn", "not found; install Maven to fetch Kafka from Maven Central (Debian: apt install maven; macOS: brew install maven)"
            )
        )
    return problems


def ensure_jars() -> Path:
    """The folder with Kafka's jars, fetched through Maven on first use (about 45 MB).

    Raises `ConfigurationError` naming what to install, `TransientError` with Maven's words when fetching fails.
    """
    if problems := missing_tools():
        raise ConfigurationError(problems)
    folder = jars_folder()
    if _jars_complete():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        target = Path(scratch) / "jars"
        command = [
            "mvn",
            "-B",
            "-q",
            "-f",
            str(DEPLOY / "pom.xml"),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={target}",
            "-DincludeScope=runtime",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=scratch)  # noqa: S603 - the command is ours
        if done.returncode != 0 or not target.is_dir():
            raise TransientError(f"Maven could not fetch Kafka {kafka_version()}: {(done.stdout + done.stderr).strip()[-2000:]}")
        if not _jars_complete():
            shutil.rmtree(folder, ignore_errors=True)
            # One rename: another process sees all of the jars or none.
            target.rename(folder)
    return folder


def _jars_complete() -> bool:
    return any(jars_folder().glob("kafka_2.13-*.jar"))


class KafkaNode(BrokerProcess):
    """One Kafka node with its own data; `start` formats the storage when it is new. Data survive `stop`, `kill` and `restart`."""

    name = "kafka"

    def __init__(self, directory: Path, port: int = 0, *, overrides: Mapping[str, str] | None = None) -> None:
        """`overrides` are broker settings on top of deploy/kafka/node.properties."""
        super().__init__(directory, port)
        self._controller_port = free_port()
        self._overrides = dict(overrides or {})

    def _command(self) -> Sequence[str]:
        jars = ensure_jars()
        properties = self._write_properties()
        java = [str(shutil.which("java")), *_JAVA_OPTIONS, "-cp", f"{jars}/*"]
        if not (self.directory / "data" / "meta.properties").exists():
            self._format([*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(properties)])
        return [*java, "kafka.Kafka", str(properties)]

    def _format(self, command: Sequence[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the command is ours
        if done.returncode != 0:
            raise ConfigurationError(
                [Problem(str(self.directory), f"Kafka could not format it: {(done.stdout + done.stderr).strip()[-2000:]}")]
            )

    def _write_properties(self) -> Path:
        controller = f"{LOCALHOST}:{self._controller_port}"
        settings = {
            "log.dirs": str(self.directory / "data"),
            "listeners": f"CLIENT://{self.bootstrap_servers},CONTROLLER://{controller}",
            "advertised.listeners": f"CLIENT://{self.bootstrap_servers}",
            "controller.quorum.voters": f"1@{controller}",
            **self._overrides,
        }
        path = self.directory / "server.properties"
        path.write_text((DEPLOY / "node.properties").read_text() + "\n" + "".join(f"{key}={value}\n" for key, value in settings.items()))
        return path
