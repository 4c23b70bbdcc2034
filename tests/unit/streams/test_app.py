"""The Faust application itself, without a broker."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bus.settings import KafkaSettings, Settings
from bus.streams.app import create_app


async def test_nothing_is_left_where_the_command_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    worker: Any = SimpleNamespace(event_topics=("events.test.thing.counted.v1",), batched=frozenset({"events.test.thing.counted.v1"}))
    app = create_app(Settings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:9")), worker)
    await app.on_first_start()
    assert list(tmp_path.iterdir()) == []
