"""Which module has which command. A module is imported when its command is asked for: what one needs, the others do not wait for.

A consumer may bring commands of its own (`commands` in its manifest): they stand under the name of its role, and are loaded by name.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup

#: Command -> module of this package, in the order of the help.
MODULES = {
    "run": "run",
    "demo": "demo",
    "simulate": "simulate",
    "broker": "brokers",
    "kafka": "brokers",
    "topics": "brokers",
    "indicators": "indicators",
    "verify": "verify",
    "replay": "replay",
    "archive": "archive",
    "history": "history",
    "withdraw": "withdraw",
    "status": "status",
    "quarantine": "quarantine",
    "new-key": "quarantine",
    "spool": "spool",
    "totals": "totals",
    "schemas": "schemas",
    "check": "schemas",
    "new-agency": "agencies",
    "try": "agencies",
    "keys": "keys",
    "erase": "keys",
    "gateway-key": "gateway_keys",
    "feedback": "feedback",
    "ddl": "ddl",
}


class Commands(MutableMapping[str, Any]):
    """The commands by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made |= commands_of(MODULES[name]) if name in MODULES else brought_commands(name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands are not taken away")

    def __iter__(self) -> Iterator[str]:
        return iter((*MODULES, *brought()))

    def __len__(self) -> int:
        return len(MODULES) + len(brought())


class CommandTree(TyperGroup):
    """The group of all commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands()


def commands_of(module: str) -> dict[str, Any]:
    """The commands that a module of this package registers, by name."""
    app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)
    import_module(f"bus.cli.{module}").register(app)
    return dict(typer.main.get_group(app).commands)


#: The checkout (or installed tree): `bus.settings.ROOT`, without what that module has to import.
_ROOT = Path(__file__).resolve().parent.parent.parent


@cache
def brought() -> Mapping[str, tuple[Path, str]]:
    """Role -> the folder above `consumers/` and "module:function" of each consumer that brings commands, also of those in BUS_OVERLAY.

    A manifest that cannot be read brings none; what is wrong with it, `bus check` and `bus run` say.
    """
    found: dict[str, tuple[Path, str]] = {}
    for base in (_ROOT, *(Path(part) for part in os.environ.get("BUS_OVERLAY", "").split(":") if part)):
        for path in sorted(base.glob("consumers/*/consumer.toml")):
            try:
                manifest = tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
                continue
            role, commands = manifest.get("role"), manifest.get("commands")
            if isinstance(role, str) and isinstance(commands, str) and role not in MODULES:
                found.setdefault(role, (base, commands))
    return found


def brought_commands(role: str) -> dict[str, Any]:
    """The group of commands that a consumer brings, by its role. Raises `KeyError` for another name."""
    base, commands = brought()[role]
    module, _, function = commands.partition(":")
    if str(base) not in sys.path:
        sys.path.append(str(base))
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False)
    getattr(import_module(module), function)(group)
    app = typer.Typer()
    app.add_typer(group, name=role)
    # a group with one command beside it stays a group
    app.command("-", hidden=True)(lambda: None)
    return {role: typer.main.get_group(app).commands[role]}
