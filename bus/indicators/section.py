"""What all sections of an indicator's file, and all files of that kind, have in common."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from bus.errors import Problem


class Section(BaseModel):
    """A section of a TOML file: unknown keys are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def read_toml(path: Path) -> tuple[dict[str, Any] | None, list[Problem]]:
    """What a file holds, or why it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [Problem(str(path), f"is not TOML in UTF-8: {error}")]
    except OSError as error:
        return None, [Problem(str(path), f"cannot be read: {error.strerror}")]
