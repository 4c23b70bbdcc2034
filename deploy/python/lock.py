"""Makes `requirements.lock` and the inventory of its wheels, `requirements.wheels.json`; run by `make lock`.

The lock is universal and names packages, versions and hashes, nothing of the index they came from. The inventory adds what a lock
cannot say: for every supported Python and platform, the file that would be installed, so that tests/unit/test_lock.py can prove the
claimed range without a network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent.parent
#: Where wheels are required: a system of five years ago (glibc 2.28: Debian 10, RHEL 8) or newer, macOS 13 or newer.
PLATFORMS = ("linux-x86_64", "macos-arm64", "macos-x86_64")
_GLIBC = range(28, 4, -1)
_MACOS = (13, 0)
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def pythons(requires: str) -> list[int]:
    """The minor versions of Python 3 that a `requires-python` admits."""
    return [minor for minor in range(9, 30) if f"3.{minor}.0" in SpecifierSet(requires)]


def tags(minor: int, platform: str) -> dict[Tag, int]:
    """Every wheel tag that such an interpreter accepts, with its rank (0 is best)."""
    system, machine = platform.split("-")
    if system == "macos":
        names = list(mac_platforms(_MACOS, machine))
    else:
        names = [f"{name}_{machine}" for glibc in _GLIBC for name in (f"manylinux_2_{glibc}", _LEGACY.get(glibc)) if name]
    found = (*cpython_tags((3, minor), platforms=names), *compatible_tags((3, minor), f"cp3{minor}", names))
    return {tag: rank for rank, tag in reversed(list(enumerate(found)))}


def environment(minor: int, platform: str) -> dict[str, str]:
    """The environment markers of such an interpreter."""
    system, machine = platform.split("-")
    return {
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux" if system == "linux" else "darwin",
        "platform_system": "Linux" if system == "linux" else "Darwin",
        "platform_machine": machine,
        "os_name": "posix",
    }


def wanted(marker: str | None, minor: int, platform: str) -> bool:
    """Whether such an interpreter installs a package that carries this marker."""
    return marker is None or Marker(marker).evaluate(environment(minor, platform))


def best_wheel(names: Iterable[str], minor: int, platform: str) -> str | None:
    """The file that pip would choose for such an interpreter, or None when it would have to build one."""
    accepted = tags(minor, platform)
    ranked = [(min(accepted[tag] for tag in shared), name) for name in names if (shared := parse_wheel_filename(name)[3] & accepted.keys())]
    return min(ranked)[1] if ranked else None


def _compile(*options: str) -> None:
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--extra", "dev", "--no-emit-index-url"]
    subprocess.run([*command, "--no-emit-find-links", *options, "pyproject.toml"], cwd=ROOT, check=True)


def _names(package: dict[str, Any]) -> list[str]:
    return [wheel["url"].rsplit("/", 1)[1] for wheel in package.get("wheels", [])]


def main() -> int:
    """Writes both files; the exit status is 1 when a claimed combination has no wheel."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    upgrade = [option for option in sys.argv[1:] if option in ("--upgrade", "-U")]
    _compile("--generate-hashes", "--no-annotate", "--custom-compile-command", "make lock", "-o", "requirements.lock", *upgrade)
    _compile("--format", "pylock.toml", "--constraint", "requirements.lock", "-o", "build/pylock.toml")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = tomllib.loads((build / "pylock.toml").read_text())["packages"]
    inventory: dict[str, dict[str, str]] = {}
    missing = []
    for package in packages:
        hashes = {wheel["url"].rsplit("/", 1)[1]: wheel["hashes"]["sha256"] for wheel in package.get("wheels", [])}
        chosen = inventory[f"{package['name']}=={package['version']}"] = {}
        for minor in pythons(project["requires-python"]):
            for platform in PLATFORMS:
                if not wanted(package.get("marker"), minor, platform):
                    continue
                wheel = best_wheel(list(hashes), minor, platform)
                if wheel is None:
                    missing.append(f"{package['name']} {package['version']}: no wheel for Python 3.{minor} on {platform}")
                else:
                    chosen[wheel] = hashes[wheel]
    files = {package: dict(sorted(wheels.items())) for package, wheels in sorted(inventory.items()) if wheels}
    (ROOT / "requirements.wheels.json").write_text(json.dumps(files, indent=1) + "\n")
    print("\n".join(missing) or f"{len(packages)} packages, {sum(map(len, files.values()))} wheels: all claimed Pythons are covered")
    newer = pythons(project["requires-python"])[-1] + 1
    if all(
        best_wheel(_names(package), newer, platform)
        for package in packages
        for platform in PLATFORMS
        if wanted(package.get("marker"), newer, platform)
    ):
        print(f"Python 3.{newer} would be covered too: widen requires-python")
    return bool(missing)


if __name__ == "__main__":
    raise SystemExit(main())
