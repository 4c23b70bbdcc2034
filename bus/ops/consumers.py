"""Finding consumers: `consumers/<id>/consumer.toml` in the repository and in overlays; code is imported only when its role runs."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bus.errors import ConfigurationError, Problem
from bus.settings import Settings

MANIFEST = "consumer.toml"

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
_Factory = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
_Text = Annotated[str, StringConstraints(min_length=1)]


class ConsumerApp(Protocol):
    """What a consumer's factory returns: something that runs until it is told to stop."""

    async def run(self, announce: Callable[[str], None]) -> None:
        """Run until SIGINT, SIGTERM or `stop`. `announce` is told once, when the consumer serves, where that is (a URL), if anywhere."""
        ...

    def stop(self) -> None:
        """Let `run` end soon, in good order. May be called from a signal handler."""
        ...


class ConsumerManifest(BaseModel):
    """One consumer as its folder declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _Name
    role: _Name
    title: _Text
    summary: Annotated[str, StringConstraints(min_length=50)]
    factory: _Factory
    commands: _Factory | None = None
    topics: tuple[_Text, ...] = Field(min_length=1)
    settings: tuple[_Text, ...] = ()
    #: Of its settings those without which `bus run` leaves the role out.
    needs: tuple[_Text, ...] = ()
    root: Path = Field(default=Path(), exclude=True)

    def create(self, settings: Settings) -> ConsumerApp:
        """Import the consumer's code and make it. Raises `ConfigurationError` when there is no such module or function."""
        module_name, _, function = self.factory.partition(":")
        base = str(self.root.parent)
        if base not in sys.path:
            sys.path.append(base)
        where = str(self.root / self.id / MANIFEST)
        try:
            module = importlib.import_module(module_name)
            factory = getattr(module, function)
        except (ImportError, AttributeError) as error:
            raise ConfigurationError([Problem(where, f"factory {self.factory!r} cannot be loaded: {error}")]) from error
        return cast("Callable[[Settings], ConsumerApp]", factory)(settings)

    def rests(self, settings: Settings) -> bool:
        """Whether something that it needs is not set."""
        return any(not _value(settings, name) for name in self.needs)


def _value(settings: BaseModel, name: str) -> object:
    head, _, rest = name.partition(".")
    found = getattr(settings, head, None)
    return _value(found, rest) if rest and isinstance(found, BaseModel) else found


def load_consumers(roots: Sequence[Path]) -> Mapping[str, ConsumerManifest]:
    """Every consumer, by role. Raises one `ConfigurationError` with all problems of all manifests."""
    found: dict[str, ConsumerManifest] = {}
    problems: list[Problem] = []
    for root in roots:
        for path in sorted(root.glob(f"*/{MANIFEST}")):
            manifest = _read(path, problems)
            if manifest is None:
                continue
            if manifest.role in found:
                other = found[manifest.role]
                problems.append(Problem(f"{path}: role", f"{manifest.role!r} is the role of {other.root / other.id} already"))
                continue
            found[manifest.role] = manifest.model_copy(update={"root": root})
    if problems:
        raise ConfigurationError(problems)
    return found


def load_consumer(role: str, roots: Sequence[Path]) -> ConsumerManifest:
    """The consumer of that role. Raises `ConfigurationError` naming the roles there are, or all problems of all manifests."""
    consumers = load_consumers(roots)
    if role not in consumers:
        known = ", ".join(sorted(consumers)) or "none"
        looked = ", ".join(map(str, roots)) or "no folder"
        raise ConfigurationError([Problem("role", f"no consumer has role {role!r}; known are {known} (looked in {looked})")])
    return consumers[role]


def _read(path: Path, problems: list[Problem]) -> ConsumerManifest | None:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        manifest = ConsumerManifest.model_validate(data)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(Problem(str(path), str(error)))
        return None
    except ValidationError as error:
        for item in error.errors():
            key = ".".join(str(part) for part in item["loc"])
            allowed = f"; allowed are {', '.join(name for name in ConsumerManifest.model_fields if name != 'root')}"
            extra = allowed if item["type"] == "extra_forbidden" else f"; received {item['input']!r}" if item["type"] != "missing" else ""
            problems.append(Problem(f"{path}: {key}", item["msg"] + extra))
        return None
    if "root" in data:
        problems.append(Problem(f"{path}: root", "is not a key of a manifest"))
        return None
    if manifest.id != path.parent.name:
        problems.append(Problem(f"{path}: id", f"{manifest.id!r} is not the folder's name {path.parent.name!r}"))
        return None
    return manifest
