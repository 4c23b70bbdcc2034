"""B rules: a board shows numbers that there are, one a tile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bus.board.loader import board_files, check_board
from bus.errors import Problem
from bus.testing.rule import Case, Rule, cases_of
from bus.testing.workspace import Workspace


@dataclass(frozen=True)
class BoardSubject:
    """A board's file, and everything that the kit has loaded."""

    path: Path
    workspace: Workspace


def shows_what_there_is(subject: BoardSubject) -> Iterable[Problem]:
    return check_board(subject.path, subject.workspace.indicators)


RULES: tuple[Rule[BoardSubject], ...] = (
    Rule(
        "B01",
        "a board's tiles name indicators that there are, with every dimension fixed; a map draws each region once",
        shows_what_there_is,
    ),
)


def cases(workspace: Workspace) -> Iterator[Case]:
    """The board of each schemas folder."""
    if workspace.agency is not None:
        return
    paths = [path for path in board_files(workspace.settings.schemas_roots()) if workspace.concerns(path)]
    yield from cases_of(RULES, {f"{path.parent.parent.name}/{path.name}": BoardSubject(path, workspace) for path in paths})
