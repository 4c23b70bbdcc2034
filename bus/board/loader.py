"""Reading `board.toml` of the checkout and its overlays, and holding it against the indicators; every problem names file, line and key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from bus.board.spec import Board, Sector, Tile
from bus.errors import Problem
from bus.indicators.compose import AnyIndicator
from bus.indicators.section import read_toml

FILE = "board.toml"
#: Measures whose rows are about single subjects, or about pairs of them: no headline of anything.
_NO_HEADLINE = frozenset({"register", "reconcile"})
_SECTOR = re.compile(r"^\s*\[\[\s*sector\s*\]\]")
_TILE = re.compile(r"(^|[{,\s])indicator\s*=")


def board_files(roots: Sequence[Path]) -> list[Path]:
    """The boards of these schemas folders, in order."""
    return [path for root in roots if (path := Path(root) / FILE).exists()]


def read_board(path: Path) -> tuple[Board | None, list[Problem]]:
    """One file, or all that is wrong with its form."""
    raw, unread = read_toml(path)
    if raw is None:
        return None, unread
    try:
        return Board.model_validate(raw), []
    except ValidationError as error:
        return None, list(_problems(path, error))


def load_board(roots: Sequence[Path]) -> tuple[Board, list[Problem]]:
    """All files as one board, without those that cannot be read, and what is wrong with these."""
    sectors: dict[str, Sector] = {}
    drawn, problems = None, list[Problem]()
    for path in board_files(roots):
        board, wrong = read_board(path)
        problems += wrong
        if board is not None:
            sectors |= {each.id: each for each in board.sector}
            drawn = board.map or drawn
    return Board(sector=list(sectors.values()), map=drawn), problems


def check_board(path: Path, indicators: Mapping[str, AnyIndicator]) -> list[Problem]:
    """All that is wrong with one file: its form, or tiles whose indicator is not there or whose dimensions are not all fixed, once each."""
    board, problems = read_board(path)
    if board is None:
        return problems
    text = path.read_text(encoding="utf-8")
    for place, sector in enumerate(board.sector):
        for number, tile in enumerate(sector.tiles):
            where = _where(path, text, ("sector", place, "tiles", number))
            problems += [Problem(f"{where}.{key}", what) for key, what in _wrong(tile, indicators)]
    drawn = board.map.indicator if board.map is not None else None
    if drawn is not None and "region" not in (indicators[drawn].definition["dims"] if drawn in indicators else ()):
        problems.append(Problem(f"{_where(path, text, ('map',))}.indicator", f"there is no indicator {drawn!r} that has regions"))
    return problems


def _wrong(tile: Tile, indicators: Mapping[str, AnyIndicator]) -> Iterator[tuple[str, str]]:
    """What does not go together: key, and what is wrong."""
    indicator = indicators.get(tile.indicator)
    if indicator is None:
        near = difflib.get_close_matches(tile.indicator, indicators, n=3, cutoff=0.5)
        yield "indicator", f"there is no indicator {tile.indicator!r}; near: {', '.join(near) or 'none'}"
        return
    if indicator.kind in _NO_HEADLINE:
        yield "indicator", f"{tile.indicator} is about single subjects (kind {indicator.kind}); nobody is shown those"
        return
    dims = list(indicator.definition["dims"])
    has = f"(it has: {', '.join(dims) or 'none'})"
    for key, names in (("where", list(tile.where)), ("newest", tile.newest)):
        for name in names:
            if name not in dims:
                yield f"{key}.{name}", f"{tile.indicator} has no dimension {name!r} {has}"
    if both := sorted({*tile.where} & {*tile.newest}):
        yield "newest", f"fixed by where already: {', '.join(both)}"
    if left := [name for name in dims if name not in tile.where and name not in tile.newest]:
        yield "where", f"a tile shows one number, so every dimension of {tile.indicator} is fixed; missing: {', '.join(left)}"


def _where(path: Path, text: str, place: Sequence[int | str]) -> str:
    """File, line and key of a place in the file; the line of a tile is the one that names its indicator."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    lines = text.split("\n")
    wanted = [part for part in place if isinstance(part, int)]
    if not place or place[0] != "sector" or not wanted:
        found = next(
            (number for number, line in enumerate(lines, 1) if place and re.match(rf"\s*\[?{re.escape(str(place[0]))}\b", line)), 1
        )
        return f"{path}:{found}: {key}"
    sectors = [number for number, line in enumerate(lines) if _SECTOR.match(line)]
    if wanted[0] >= len(sectors):
        return f"{path}: {key}"
    begin = sectors[wanted[0]]
    end = sectors[wanted[0] + 1] if wanted[0] + 1 < len(sectors) else len(lines)
    tiles = [number for number in range(begin, end) if _TILE.search(lines[number].partition("#")[0])]
    at = tiles[wanted[1]] if len(wanted) > 1 and "tiles" in place and wanted[1] < len(tiles) else begin
    return f"{path}:{at + 1}: {key}"


def _problems(path: Path, error: ValidationError) -> Iterator[Problem]:
    text = path.read_text(encoding="utf-8")
    for each in error.errors():
        received = f"; received {each['input']!r}" if isinstance(each["input"], str | int | float) else ""
        what = {"extra_forbidden": "unknown key", "missing": "is required"}.get(
            each["type"], each["msg"].removeprefix("Value error, ") + received
        )
        yield Problem(_where(path, text, each["loc"]), what)
