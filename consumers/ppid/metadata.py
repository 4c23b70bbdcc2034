"""What a dataset is called, means and is licensed under, from the indicator files, the agencies' manifests and the region table."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict

from bus.errors import ConfigurationError
from bus.events.catalogue import Catalogue
from bus.indicators.loader import read_spec
from bus.indicators.reference_files import load_reference
from bus.indicators.regions import TABLE, Regions
from bus.indicators.spec import Spec

_log = structlog.get_logger(__name__)

#: Class of information that nobody publishes (UU 14/2008 art. 17).
EXCLUDED = "dikecualikan"
_BELOW_VILLAGE = re.compile(r"(?P<village>\d{2}\.\d{2}\.\d{2}\.\d{4})\.\d{3}(?:\.\d{3})?", re.ASCII)
_NAME = ("id", "en")
_DEEP = 8


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Dimension(_Part):
    """A dimension's column and what its source field says of it."""

    name: str
    about: str = ""


class Metadata(_Part):
    """One dataset in words; what walidata approve and the public reads. `agency_title` is that of the Produsen Data."""

    id: str
    version: int
    title: Mapping[str, str]
    agency: str
    agency_title: Mapping[str, str]
    owner: str = ""
    publish_class: str
    min_cell: int = 0
    licence: str = ""
    satu_data: Mapping[str, str] = {}
    unit: str
    decimals: int
    window: str
    late: str
    kind: str
    composite: bool = False
    parts: tuple[str, ...] = ()
    stock: bool = False
    event: str = ""
    source: str = ""
    dimensions: tuple[Dimension, ...] = ()
    definition_sha256: str = ""

    @property
    def name(self) -> str:
        """The dataset's name where dots are not allowed (CKAN, Frictionless)."""
        return self.id.replace(".", "-")

    def digest(self) -> str:
        """Tells these metadata from others."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Directory(_Part):
    """All that is declared now: datasets by id (those that may be published at all), agencies' titles, region names by code."""

    datasets: Mapping[str, Metadata] = {}
    agencies: Mapping[str, Mapping[str, str]] = {}
    regions: Mapping[str, str] = {}

    def knows_region(self, code: str) -> bool:
        """Whether a code is in the table, or is an RW or RT in a village of the table."""
        below = _BELOW_VILLAGE.fullmatch(code)
        return (below["village"] if below else code) in self.regions


def read_directory(
    schemas: Sequence[Path], connectors: Sequence[Path] = (), catalogue: Catalogue | None = None, only: Collection[str] = ()
) -> Directory:
    """Read everything anew. A file that cannot be read is left out and logged: what it was is judged by whoever publishes."""
    specs: dict[str, tuple[Spec, str]] = {}
    for root in schemas:
        for path in sorted((root / "indicators").glob("*.toml")):
            spec, problems = read_spec(path)
            if spec is None:
                _log.warning("ppid.definition_unreadable", problem=str(problems[0]))
                continue
            specs[spec.id] = (spec, hashlib.sha256(path.read_bytes()).hexdigest())
    agencies = _agencies(connectors)
    datasets = {
        id_: _metadata(spec, digest, specs, agencies, catalogue)
        for id_, (spec, digest) in specs.items()
        if not only or _agency(id_) in only
    }  # fmt: skip
    return Directory(datasets=datasets, agencies={id_: title for id_, (title, _) in agencies.items()}, regions=_regions(schemas))


def _metadata(
    spec: Spec,
    digest: str,
    specs: Mapping[str, tuple[Spec, str]],
    agencies: Mapping[str, tuple[Mapping[str, str], str]],
    catalogue: Catalogue | None,
) -> Metadata:
    agency = _agency(spec.id)
    title, owner = agencies.get(agency, ({"id": agency, "en": agency}, ""))
    leaf = _leaf(spec, specs)
    composite = spec.composite
    return Metadata(
        id=spec.id,
        version=spec.version,
        title={"id": spec.title.id, "en": spec.title.en},
        agency=agency,
        agency_title=title,
        owner=owner,
        publish_class=EXCLUDED if _is_register(spec) else spec.publish.class_,
        min_cell=spec.publish.threshold,
        licence=spec.publish.licence,
        satu_data=spec.satu_data.model_dump() if spec.satu_data else {},
        unit=spec.unit,
        decimals=spec.decimals,
        window=spec.window,
        late=spec.late,
        kind=composite.kind if composite else spec.measure.kind if spec.measure else "",
        composite=composite is not None,
        parts=tuple(composite.of) if composite else (),
        stock=leaf.is_stock or spec.is_stock,
        event=leaf.event,
        source=_doc(catalogue, leaf.event, ""),
        dimensions=_dimensions(spec, leaf, catalogue),
        definition_sha256=digest,
    )


def _is_register(spec: Spec) -> bool:
    return spec.measure is not None and spec.measure.kind == "register"


def _leaf(spec: Spec, specs: Mapping[str, tuple[Spec, str]], depth: int = 0) -> Spec:
    """The first of the indicators made of events that this one is made of."""
    if spec.composite is None or depth == _DEEP or spec.composite.of[0] not in specs:
        return spec
    return _leaf(specs[spec.composite.of[0]][0], specs, depth + 1)


def _dimensions(spec: Spec, leaf: Spec, catalogue: Catalogue | None) -> tuple[Dimension, ...]:
    if spec.composite is not None and spec.composite.kind == "reconcile":
        return (Dimension(name="match", about="Where the subject is found"), *_region(leaf))
    found = [Dimension(name=name, about=_doc(catalogue, leaf.event, expression)) for name, expression in leaf.dimensions.items()]
    found += _region(leaf)
    if spec.composite is not None and spec.composite.kind == "top":
        found = [each for each in found if each.name != spec.composite.item]
        found.append(Dimension(name="rank", about=f"Rank by value; the label names the {spec.composite.item}"))
    return tuple(found)


def _region(leaf: Spec) -> list[Dimension]:
    return [Dimension(name="region", about="Region code of Kemendagri (PP.KK.CC.DDDD)")] if leaf.region else []


def _doc(catalogue: Catalogue | None, event: str, field: str) -> str:
    if catalogue is None or event not in catalogue:
        return ""
    schema = catalogue[event]
    if not field:
        return str(schema.avro.get("doc", ""))
    fields = schema.avro.get("fields")
    docs = (
        {str(each.get("name")): str(each.get("doc", "")) for each in fields if isinstance(each, dict)} if isinstance(fields, list) else {}
    )
    return docs.get(field, "")


def _agency(id_: str) -> str:
    return id_.partition(".")[0]


def _agencies(connectors: Sequence[Path]) -> dict[str, tuple[Mapping[str, str], str]]:
    found: dict[str, tuple[Mapping[str, str], str]] = {}
    for root in connectors:
        for path in sorted(root.glob("*/agency.toml")):
            try:
                data = tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                _log.warning("ppid.agency_unreadable", file=str(path), error=str(error))
                continue
            title = data.get("title")
            id_ = path.parent.name
            names = (
                {each: str(title.get(each, id_)) for each in _NAME} if isinstance(title, dict) else dict.fromkeys(_NAME, str(title or id_))
            )
            found[id_] = (names, str(data.get("owner", "")))
    return found


def _regions(schemas: Sequence[Path]) -> Mapping[str, str]:
    for root in schemas:
        path = root / "reference" / f"{TABLE}.toml"
        if path.exists():
            table, problems = load_reference(path)
            if table is None:
                raise ConfigurationError(problems)
            tree = Regions(table)
            return {code: tree.name(code) for code in tree.codes()}
    return {}
