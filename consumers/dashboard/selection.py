"""Which cells a reader wants by their dimensions: single values, or all regions below one. Pure; the same for REST, streams and sockets."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

#: The dimension that the region tree is walked along, and the parameters that walk.
REGION = "region"
UNDER, DEPTH = "under", "region_depth"

_CODE = re.compile(r"\d{2}(?:\.\d{2}(?:\.\d{2}(?:\.\d{4}(?:\.\d{3}(?:\.\d{3})?)?)?)?)?", re.ASCII)
_CODE_FORM = "a region's code such as 33.09, 33.09.05 or 33.09.05.2001"
_DEEPEST = 5


class QueryError(ValueError):
    """The address asks for something that there is not. `status` is HTTP's; the rest goes to the caller."""

    def __init__(self, detail: str, *, received: str, allowed: Sequence[str] | str, status: int = 400) -> None:
        self.detail, self.received, self.allowed, self.status = detail, received, allowed, status
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Selection:
    """Dimension -> the values that are wanted (`None`: cells without one); `under`: the regions whose subtrees are, `depth` levels down."""

    values: tuple[tuple[str, frozenset[str | None]], ...] = ()
    under: frozenset[str] = frozenset()
    depth: int | None = None

    def matches(self, dimensions: Mapping[str, str | None] | None) -> bool:
        """Whether a cell of these dimensions is wanted. One whose dimensions are not known (it is gone) is."""
        if dimensions is None:
            return True
        if not all(name in dimensions and dimensions[name] in wanted for name, wanted in self.values):
            return False
        return not self.under or self._below(dimensions.get(REGION))

    def __str__(self) -> str:
        """The same text for the same selection."""
        values = ",".join(f"{name}={sorted(wanted, key=lambda text: (text is None, text or ''))!r}" for name, wanted in self.values)
        return f"{values};{sorted(self.under)};{self.depth}" if values or self.under else ""

    def _below(self, code: str | None) -> bool:
        for root in self.under if code is not None else ():
            assert code is not None
            if code == root or (code.startswith(f"{root}.") and (self.depth is None or code.count(".") - root.count(".") <= self.depth)):
                return True
        return False


def parse(parameters: Sequence[tuple[str, str]], dimensions: Collection[str], reserved: Sequence[str] = ()) -> Selection:
    """The selection in these parameters. A dimension given twice means either value, an empty one the cells without one.

    `region` is the region itself; with `region_depth` it is its subtree, so many levels down, as `under` is with or without. Raises
    `QueryError` for a parameter that is neither a dimension nor among `under` and `region_depth`, for which there must be a region;
    `reserved` are named to the caller as allowed too.
    """
    walking = [UNDER, DEPTH] if REGION in dimensions else []
    allowed = [*reserved, *walking, *(name for name in dimensions if name not in walking)]
    wanted: dict[str, set[str | None]] = {}
    under: set[str] = set()
    depth: int | None = None
    for name, text in parameters:
        if name == UNDER and walking:
            under |= {_code(part) for part in text.split(",")}
        elif name == DEPTH and walking:
            if depth is not None:
                raise QueryError(f"{DEPTH} is given twice", received=f"{name}={text}", allowed=f"one {DEPTH}")
            depth = _depth(text)
        elif name in dimensions and name not in walking:
            wanted.setdefault(name, set()).add(text or None)
        else:
            raise QueryError(f"unknown parameter {name}", received=name, allowed=allowed)
    if depth is not None and not under:
        under = {_code(text or "") for text in wanted.pop(REGION, ())}
        if not under:
            raise QueryError(f"{DEPTH} without a region", received=f"{DEPTH}={depth}", allowed=f"with {UNDER} or {REGION}")
    return Selection(tuple(sorted((name, frozenset(each)) for name, each in wanted.items())), frozenset(under), depth)


def _code(text: str) -> str:
    if not _CODE.fullmatch(text.strip()):
        raise QueryError("malformed region", received=text, allowed=_CODE_FORM)
    return text.strip()


def _depth(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 1 and int(text) <= _DEEPEST):
        raise QueryError(f"malformed {DEPTH}", received=text, allowed=f"0 to {_DEEPEST}")
    return int(text)
