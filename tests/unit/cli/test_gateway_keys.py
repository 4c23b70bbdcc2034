"""`bus gateway-key`: the key is shown once, the file has its hash and is nobody else's to read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bus.cli.app import _run as run_command
from bus.ops.apikeys import Holder, Role, digest_of, read_keys, read_secret, secret_path

pytestmark = pytest.mark.usefixtures("named_broker")


def test_a_key_is_shown_once_and_kept_as_its_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "keys"
    monkeypatch.setenv("BUS_GATEWAY__KEYS_FILE", str(path))
    assert run_command(["gateway-key", "mcd_screen", "--role", "internal"]) == 0
    key = capsys.readouterr().out.strip()
    with path.open("a") as file:
        file.write("# a line without an end")
    assert run_command(["gateway-key", "auditor", "--role", "restricted"]) == 0
    other = capsys.readouterr().out.strip()
    assert read_keys(path) == {
        digest_of(key): Holder("mcd_screen", Role.INTERNAL),
        digest_of(other): Holder("auditor", Role.RESTRICTED),
    }
    assert len(key) > 40
    assert key not in path.read_text()
    assert len(read_secret(path) or b"") == 64
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, secret_path(path))] == [0o600, 0o600]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mcd", "--role", "internal"], "say where the keys are"),
        (["MCD", "--role", "internal", "--file", "keys"], "is no client name"),
        (["mcd", "--role", "boss", "--file", "keys"], "'boss' is not one of"),
        (["known", "--role", "public", "--file", "keys"], "has a key already"),
        (["mcd", "--role", "public", "--file", "keys/below"], "cannot be"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = f"known public {'0' * 64}\n"
    (tmp_path / "keys").write_text(before)
    assert run_command(["gateway-key", *arguments]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "keys").read_text() == before
