"""The reference page, deploy/reference.md: settings, metrics, indicators and rules as the code has them. `python -m bus.testing.reference` writes it.

Commands describe themselves (`bus --help`) and are held to the documentation by tests/conformance/test_docs.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Protocol

from pydantic import BaseModel

from bus.ingest.privacy.keys import AGENCY_SETTINGS
from bus.metrics import REGISTRY
from bus.settings import PREFIX, ROOT, Settings
from bus.testing.rules_metrics import describe
from bus.testing.workspace import Workspace

PAGE = ROOT / "deploy" / "reference.md"
_HEAD = """# Reference

Made from the code by `make reference`; rule D01 compares. Do not edit.
"""


class Numbered(Protocol):
    """What the page tells of a rule."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...


def settings_of(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[tuple[str, str, str]]:
    """Variable, default and description of every setting, sections included."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from settings_of(kind, f"{prefix}{name.upper()}__")
        else:
            shown = "<AGENCY>__<NAME>" if name == "agencies" else name.upper()
            default = field.get_default(call_default_factory=True)
            yield (
                f"{prefix}{shown}",
                "" if default in ("", (), {}) else str(default).lower() if isinstance(default, bool) else str(default),
                field.description or "",
            )


def page(workspace: Workspace, rules: Sequence[Numbered]) -> str:
    """The whole page, of the repository's own content (overlays document themselves)."""
    indicators = [
        (f"`{item.spec.id}`", item.spec.title.id, item.spec.title.en, item.spec.window, item.spec.unit)
        for item in workspace.indicators.values()
    ]
    parts = [
        _HEAD,
        "## Settings\n",
        _table(
            ("variable", "default", "meaning"),
            [
                *((f"`{name}`", f"`{default}`" if default else "", text) for name, default, text in settings_of(Settings)),
                *((f"`{PREFIX}<AGENCY>__{name.upper()}`", "", text) for name, text in AGENCY_SETTINGS.items()),
            ],
        ),
        "## Metrics\n",
        _table(("metric", "type", "labels", "meaning"), [(f"`{name}`", *rest) for name, *rest in describe(REGISTRY)]),
        "## Indicators\n",
        _table(("id", "judul", "title", "window", "unit"), sorted(indicators)),
        "## Conformance rules\n",
        _table(("rule", "what it asks"), [(rule.id, rule.title) for rule in rules]),
    ]
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def main() -> int:
    """Write the page."""
    from bus.testing.kit import rules  # noqa: PLC0415 (the kit's D rules import this module)

    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(Workspace(Settings.from_env({})), rules()), encoding="utf-8")
    sys.stdout.write(f"{os.path.relpath(PAGE)} written\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
