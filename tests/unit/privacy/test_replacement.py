"""A key that leaked is replaced: at whatever instant that stops, no key is lost and none is new without its old topics being closed."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bus.clock import LOCAL_ZONE
from bus.errors import ConfigurationError
from bus.events.envelope import Event
from bus.ingest.privacy import in_use
from bus.ingest.privacy import keyring as module
from bus.ingest.privacy.door import Door, SampleKeys
from bus.ingest.privacy.fields import Nik
from bus.ingest.privacy.keys import AgencyKeys
from bus.kafka.topics import AUDIT
from bus.ops.audit import Audit, State
from bus.ops.replacement import FORGET, REPLACE, forget_former, replace_key
from bus.testing.clock import ManualClock
from bus.testing.memory import MemoryLog

NIK = Nik("3309121203990001")
TYPES = ["rsud.visit.recorded.v1"]


class Killed(BaseException):
    """The process is gone."""


def keys_in(folder: Path, *, keks: Path | None = None, **values: str) -> AgencyKeys:
    """What a fresh process knows."""
    return AgencyKeys("rsud", "rsud", folder, {**values, **({} if keks is None else {"kek_folder": str(keks)})})


def new_of(keys: AgencyKeys) -> str:
    return keys.known().pseudonym(NIK)


def former_of(keys: AgencyKeys) -> str:
    return keys.former().pseudonym(NIK)


@contextmanager
def killed_at(instant: int) -> Iterator[list[str]]:
    """Every effect on files is counted, and the one of that number does not happen, nor any after it."""
    seen: list[str] = []

    def counted(name: str, effect: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if len(seen) >= instant:
                raise Killed
            seen.append(name)
            return effect(*arguments, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_durably", counted("write", module._durably))
        patch.setattr(module, "_settle", counted("settle", module._settle))
        patch.setattr(os, "link", counted("link", os.link))
        patch.setattr(Path, "replace", counted("replace", Path.replace))
        patch.setattr(Path, "unlink", counted("unlink", Path.unlink))
        yield seen


def effects_of(work: Callable[[], object]) -> int:
    with killed_at(1_000) as seen:
        work()
    return len(seen)


def test_a_replacement_makes_other_pseudonyms_and_keeps_the_old(tmp_path: Path) -> None:
    folder, keks = tmp_path / "keys", tmp_path / "elsewhere"
    keys = keys_in(folder, keks=keks)
    old, kek = Door(keys).pseudonym(NIK), (keks / "domain.rsud.kek").read_bytes()
    assert (keys.replaced, keys.closed) == (False, frozenset())
    keys.replace(TYPES)
    for after in (keys, keys_in(folder, keks=keks)):
        assert new_of(after) != old
        assert former_of(after) == old
        assert (after.replaced, after.closed) == (True, frozenset(TYPES))
    assert {path.name.removeprefix("domain.rsud.") for path in folder.iterdir()} == {"keyring", "former.keyring", "former.json", "lock"}
    assert {path.name for path in keks.iterdir()} == {"domain.rsud.kek", "domain.rsud.former.kek"}
    assert {oct(path.stat().st_mode & 0o777) for path in (*folder.iterdir(), *keks.iterdir())} == {"0o600"}
    # whoever has the KEK that leaked opens neither the new key nor the former one's new wrapping
    (keks / "domain.rsud.kek").write_bytes(kek)
    with pytest.raises(ConfigurationError, match="wrapped by another key"):
        new_of(keys_in(folder, keks=keks))


def test_a_key_that_a_connector_runs_with_is_not_replaced(tmp_path: Path) -> None:
    keys, other = keys_in(tmp_path), keys_in(tmp_path)
    old = Door(keys).pseudonym(NIK)
    with keys.used(), keys_in(tmp_path).used():
        with pytest.raises(ConfigurationError, match="a connector on this machine is running with its key; stop all"):
            other.replace(TYPES)
        assert (other.replaced, other.closed, new_of(keys_in(tmp_path))) == (False, frozenset(), old)
    with in_use.alone(tmp_path / "domain.rsud.lock"), pytest.raises(ConfigurationError, match="is being replaced"), keys.used():
        pass
    other.replace(TYPES)
    assert new_of(keys_in(tmp_path)) != old


def test_both_keys_are_wrapped_anew_by_a_rotation(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    old = Door(keys).pseudonym(NIK)
    keys.replace(TYPES)
    new = new_of(keys)
    assert len(keys_in(tmp_path).rotate()) == 2
    assert (former_of(keys_in(tmp_path)), new_of(keys_in(tmp_path))) == (old, new)


def test_a_replacement_that_is_killed_loses_nothing_and_is_finished_by_the_next(tmp_path: Path) -> None:
    def begun(name: str) -> tuple[Path, str]:
        folder = tmp_path / name
        return folder, Door(keys_in(folder)).pseudonym(NIK)

    whole = keys_in(begun("whole")[0])
    count = effects_of(lambda: whole.replace(TYPES))
    assert count > 15
    for instant in range(count):
        folder, old = begun(str(instant))
        with killed_at(instant) as seen, pytest.raises(Killed):
            keys_in(folder).replace(TYPES)
        assert len(seen) == instant
        after = keys_in(folder)
        if new_of(after) == old:
            assert not after.replaced
            with pytest.raises(ConfigurationError, match="no replacement"):
                after.former()
            after.replace(TYPES)
        assert (after.replaced, former_of(after)) == (True, old)
        assert new_of(after) != old
        assert after.closed == frozenset(TYPES)
        with pytest.raises(ConfigurationError, match="forget-former"):
            after.replace(TYPES)
        assert former_of(keys_in(folder)) == old


def test_forgetting_that_is_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    def begun(name: str) -> Path:
        keys_in(tmp_path / name).pseudonym_key()
        keys_in(tmp_path / name).replace(TYPES)
        return tmp_path / name

    count = effects_of(keys_in(begun("whole")).forget_former)
    assert count == 3
    for instant in range(count):
        folder = begun(str(instant))
        new = new_of(keys_in(folder))
        with killed_at(instant), pytest.raises(Killed):
            keys_in(folder).forget_former()
        assert keys_in(folder).closed, "it is not done, and says so"
        keys_in(folder).forget_former()
        assert {path.name for path in folder.iterdir()} == {"domain.rsud.keyring", "domain.rsud.kek", "domain.rsud.lock"}
        assert new_of(keys_in(folder)) == new
        with pytest.raises(ConfigurationError, match="there is no former key"):
            keys_in(folder).forget_former()
        keys_in(folder).replace(TYPES)
        assert former_of(keys_in(folder)) == new


def test_without_a_key_there_is_nothing_to_replace(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not on this machine"):
        keys_in(tmp_path / "none").replace(TYPES)
    assert not (tmp_path / "none").exists()


def test_a_key_of_the_settings_is_replaced_by_the_operator(tmp_path: Path) -> None:
    first, second = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    given = keys_in(tmp_path, pseudonym_key=first)
    old = new_of(given)
    for unfit in (given, keys_in(tmp_path, pseudonym_key=first, former_pseudonym_key=first)):
        with pytest.raises(ConfigurationError, match="BUS_RSUD__FORMER_PSEUDONYM_KEY") as caught:
            unfit.replace(TYPES)
        assert first not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    both = keys_in(tmp_path, pseudonym_key=second, former_pseudonym_key=first)
    both.replace(TYPES)
    assert former_of(both) == old != new_of(both)
    assert (both.replaced, both.closed) == (True, frozenset(TYPES))
    with pytest.raises(ConfigurationError, match="FORMER_PSEUDONYM_KEY: is given here"):
        both.forget_former()
    keys_in(tmp_path, pseudonym_key=second).forget_former()
    assert [path.name for path in tmp_path.iterdir()] == ["domain.rsud.lock"]
    keys_in(tmp_path).pseudonym_key()
    with pytest.raises(ConfigurationError, match="FORMER_PSEUDONYM_KEY: goes with"):
        keys_in(tmp_path, former_pseudonym_key=first).replace(TYPES)


def test_nothing_more_goes_into_a_closed_topic() -> None:
    door = Door(SampleKeys(), closed=TYPES)
    at = ManualClock().now().astimezone(LOCAL_ZONE)
    assert door(Event("rsud.visit.recorded.v2", "x", at)).subject == "x"
    with pytest.raises(ConfigurationError, match=r"rsud\.visit\.recorded\.v1: holds pseudonyms of the key that was replaced"):
        door(Event(TYPES[0], "x", at))


def test_a_list_of_closed_types_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    (tmp_path / "domain.rsud.former.json").write_text("[")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        _ = keys_in(tmp_path).closed


def audit_over(log: MemoryLog) -> Audit:
    return Audit(log, log, ManualClock(), who="sari")


async def states(log: MemoryLog, action: str) -> list[State]:
    return [deed.state for deed in await audit_over(log).deeds(action, "rsud")]


async def test_the_audit_keeps_both_deeds_whatever_is_killed(tmp_path: Path) -> None:
    keys_in(tmp_path).pseudonym_key()
    log = MemoryLog({AUDIT: 1})

    async def replaced() -> None:
        await replace_key(keys_in(tmp_path), TYPES, reason="cadangan hilang", audit=audit_over(log))

    def at_the_second(_: object) -> None:
        if log.writes:
            raise Killed

    log.on_effect = at_the_second
    with pytest.raises(Killed):
        await replaced()
    log.on_effect = None
    assert keys_in(tmp_path).replaced
    await replaced()
    assert await states(log, REPLACE) == [State.BEGUN, State.DONE]
    with pytest.raises(ConfigurationError, match="forget-former"):
        await replaced()
    with pytest.raises(ConfigurationError, match="forget-former"):
        await replace_key(keys_in(tmp_path), TYPES, reason="x", audit=None)
    assert len(log.records(AUDIT)) == 2


async def test_the_former_key_is_kept_while_something_of_it_is_there(tmp_path: Path) -> None:
    keys, log = keys_in(tmp_path), MemoryLog({AUDIT: 1})
    keys.pseudonym_key()
    keys.replace(TYPES)
    for declared, topics, what in ((TYPES, [], "is still declared"), ([], [f"events.{TYPES[0]}"], "still exists")):
        with pytest.raises(ConfigurationError, match=what):
            await forget_former(keys, reason="x", audit=audit_over(log), declared=declared, topics=topics)
    assert keys.replaced
    assert log.writes == 0

    def at_the_second(_: object) -> None:
        if log.writes:
            raise Killed

    async def forgotten() -> None:
        await forget_former(keys, reason="sudah terbukti", audit=audit_over(log), declared=["rsud.visit.recorded.v2"], topics=[AUDIT])

    log.on_effect = at_the_second
    with pytest.raises(Killed):
        await forgotten()
    log.on_effect = None
    assert not keys.has_former
    await forgotten()
    with pytest.raises(ConfigurationError, match="there is no former key"):
        await forget_former(keys, reason="x", audit=audit_over(log), declared=[], topics=[])
    assert await states(log, FORGET) == [State.BEGUN, State.DONE]
