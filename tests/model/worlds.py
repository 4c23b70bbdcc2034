"""The made-up agency `uji`: its event types and indicators, for the model and for the engine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.compose import AnyIndicator
from bus.indicators.loader import load_indicators
from bus.indicators.reference_files import load_reference, load_references
from tests.model.model import Model

ROOT = Path(__file__).parents[2]
OVERLAY = Path(__file__).parent / "overlay"
ROOTS = (ROOT / "schemas", OVERLAY / "schemas")
PARTITIONS = 2

#: Event type -> how many reporters are expected.
REPORTERS = {"uji.reading.recorded.v1": 3}

CATALOGUE = Catalogue.load(ROOTS)
CODEC = Codec(CATALOGUE)
MODEL = Model.load(
    [OVERLAY / "schemas"],
    {
        "wilayah": Path(__file__).parent / "reference" / "wilayah.csv",
        "hari_libur": ROOT / "schemas" / "reference" / "hari_libur.csv",
        "uji_penduduk": OVERLAY / "schemas" / "reference" / "uji_penduduk.csv",
    },
    partitions=PARTITIONS,
    reporters=REPORTERS,
)
TYPES = tuple(name for name in CATALOGUE.types if name.startswith("uji."))


@cache
def loaded() -> Mapping[str, AnyIndicator]:
    """The indicators as the engine loads them, over the model's region tree. Raises `ConfigurationError`."""
    wilayah, problems = load_reference(Path(__file__).parent / "reference" / "wilayah.toml")
    assert wilayah is not None, problems
    references = {**load_references(ROOTS), "wilayah": wilayah}
    return load_indicators([OVERLAY / "schemas"], CATALOGUE, references, reporters=REPORTERS)


def indicator(name: str) -> AnyIndicator:
    """The compiled indicator."""
    return loaded()[name]


def types_of(name: str) -> tuple[str, ...]:
    """The event types that an indicator is made of, through its parts."""
    raw = MODEL.indicators[name]
    if "event" in raw:
        return (raw["event"],)
    return tuple(dict.fromkeys(each for part in raw["composite"]["of"] for each in types_of(part)))


def every() -> tuple[AnyIndicator, ...]:
    """All of them, as the engine has them."""
    return tuple(indicator(name) for name in MODEL.indicators)
