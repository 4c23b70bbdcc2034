"""Every reference table of the checkout and its overlays; or every problem of every file at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bus.errors import ConfigurationError, Problem
from bus.indicators import regions
from bus.indicators.calendar import calendar_problems
from bus.indicators.reference import References, ReferenceTable
from bus.indicators.reference_rows import parse_table


def load_references(roots: Sequence[Path]) -> References:
    """Tables by name from `<root>/reference/*.toml`, sorted. Raises `ConfigurationError` with every problem of every file."""
    problems: list[Problem] = []
    found: dict[str, ReferenceTable] = {}
    first: dict[str, Path] = {}
    for path in reference_files(roots):
        if path.stem in first:
            problems.append(Problem(str(path), f"table {path.stem!r} is also defined in {first[path.stem]}", "T04"))
            continue
        first[path.stem] = path
        table, wrong = load_reference(path)
        problems.extend(wrong)
        if table is not None:
            found[table.name] = table
    if problems:
        raise ConfigurationError(problems)
    return dict(sorted(found.items()))


def load_reference(path: Path) -> tuple[ReferenceTable | None, list[Problem]]:
    """The table of one TOML file (or of the CSV file that lies there without one), or all that is wrong with it."""
    toml, rows = path.with_suffix(".toml"), path.with_suffix(".csv")
    texts = []
    problems: list[Problem] = []
    for file, what in ((toml, "what the table is"), (rows, "its rows")):
        try:
            texts.append(file.read_bytes().decode())
        except FileNotFoundError:
            problems.append(Problem(str(file), f"is missing; it says {what}", "T01"))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(file), f"cannot be read as UTF-8: {error}", "T01"))
    if problems:
        return None, problems
    table, problems = parse_table(path.stem, texts[0], texts[1], (str(toml), str(rows)))
    if table is not None and table.name == regions.TABLE:
        problems = list(regions.region_problems(table, str(rows)))
    elif table is not None:
        problems = list(calendar_problems(table, str(rows)))
    return (None if problems else table), problems


def reference_files(roots: Iterable[Path]) -> list[Path]:
    """One path a table and root: the TOML file, or a CSV file that has none."""
    found: list[Path] = []
    for root in roots:
        folder = Path(root) / "reference"
        described = {path.stem: path for path in folder.glob("*.toml")}
        bare = {path.stem: path for path in folder.glob("*.csv") if path.stem not in described}
        found.extend(path for _, path in sorted({**described, **bare}.items()))
    return found
