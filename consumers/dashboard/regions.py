"""What the regions are called: the names beside the codes that rows carry, from the table `wilayah` of the schemas folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from bus.indicators.reference_files import load_reference
from bus.indicators.regions import TABLE, Regions

_log = structlog.get_logger(__name__)

#: Below the table: RW and RT are numbers, in the region above them.
_NUMBERED = re.compile(r"\d{2}\.\d{2}\.\d{2}\.\d{4}\.(?P<rw>\d{3})(?:\.(?P<rt>\d{3}))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Region:
    """A region's newest name, and its level: kabupaten, kota, kecamatan, desa, kelurahan, rw or rt."""

    name: str
    level: str


def region_files(schemas: Sequence[Path]) -> list[Path]:
    """The files of the table, those of each root one after the other."""
    return [root / "reference" / f"{TABLE}{ending}" for root in schemas for ending in (".toml", ".csv")]


def read_regions(files: Iterable[Path]) -> Mapping[str, Region]:
    """Every code of the table with its region. Nothing when there is no table, or one with a fault: then readers see the codes alone."""
    for path in files:
        if path.suffix != ".toml" or not path.exists():
            continue
        table, problems = load_reference(path)
        if table is None:
            _log.warning("gateway.regions_unreadable", file=str(path), problem=str(problems[0]))
            continue
        tree = Regions(table)
        return {code: Region(tree.name(code), tree.level(code)) for code in tree.codes()}
    return {}


def named(codes: Iterable[str | None], known: Mapping[str, Region]) -> dict[str, Region]:
    """Those of the codes that mean a region, sorted. Of an RT the number is its name."""
    found: dict[str, Region] = {}
    for code in sorted({code for code in codes if code is not None}):
        below = _NUMBERED.fullmatch(code)
        if code in known:
            found[code] = known[code]
        elif below is not None:
            found[code] = Region(f"RT {below['rt']}", "rt") if below["rt"] else Region(f"RW {below['rw']}", "rw")
    return found
