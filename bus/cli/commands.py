"""Which module has which command. A module is imported when its command is asked for: what one needs, the others do not wait for."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
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
    "ddl": "ddl",
}


class Commands(MutableMapping[str, Any]):
    """The commands by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made |= commands_of(MODULES[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands are not taken away")

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


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
