"""How many reporters the agencies' manifests declare for each event type: "26 of 27 puskesmas" needs the 27."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path


def declared_reporters(roots: Sequence[Path]) -> dict[str, int]:
    """Event type -> number of reporters, from `<root>/<agency>/agency.toml`; types without any are left out.

    A manifest that cannot be read declares nothing here: whoever starts its connector says what is wrong with it.
    """
    found: dict[str, int] = {}
    for root in roots:
        for path in sorted(Path(root).glob("*/agency.toml")):
            try:
                events = tomllib.loads(path.read_text(encoding="utf-8")).get("events", {})
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
                continue
            declared = {name: event.get("reporters") for name, event in events.items() if isinstance(event, dict)}
            found |= {name: len(reporters) for name, reporters in declared.items() if isinstance(reporters, list) and reporters}
    return found
