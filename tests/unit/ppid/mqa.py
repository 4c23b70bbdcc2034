"""The metadata quality assessment of data.europa.eu (MQA): 405 points in five dimensions, of which 351 are "excellent"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from rdflib import DCAT, DCTERMS, Graph, URIRef
from rdflib.term import Node

MOST, EXCELLENT = 405, 351
_EU = "http://publications.europa.eu/resource/authority/"
_MACHINE_READABLE = {"CSV", "JSON", "XLSX", "PARQUET"}
_PROPRIETARY = {"XLSX", "PARQUET"}

Status = Callable[[str], Awaitable[int]]


@dataclass
class Score:
    """The points of one dataset, and what it lost."""

    points: int = 0
    lost: list[str] = field(default_factory=list)

    def count(self, points: int, what: str, holds: bool) -> None:
        if holds:
            self.points += points
        else:
            self.lost.append(f"{what} ({points})")


async def score(graph: Graph, dataset: Node, status: Status) -> Score:
    """What the assessment gives a dataset; of its distributions the property counts when each has it (the assessment takes parts)."""
    found = Score()
    distributions = list(graph.objects(dataset, DCAT.distribution))
    access = {str(each) for one in distributions for each in graph.objects(one, DCAT.accessURL)}
    download = {str(each) for one in distributions for each in graph.objects(one, DCAT.downloadURL)}

    def has(predicate: URIRef) -> bool:
        return (dataset, predicate, None) in graph

    def each_has(predicate: URIRef) -> bool:
        return bool(distributions) and all((one, predicate, None) in graph for one in distributions)

    def of_vocabulary(subjects: Iterable[Node], predicate: URIRef, scheme: str) -> bool:
        values = [str(each) for one in subjects for each in graph.objects(one, predicate)]
        return bool(values) and all(value.startswith(scheme) for value in values)

    formats = {str(each).rpartition("/")[2] for one in distributions for each in graph.objects(one, DCTERMS.format)}
    # findability
    found.count(30, "keyword", has(DCAT.keyword))
    found.count(30, "categories", has(DCAT.theme))
    found.count(20, "geo search", has(DCTERMS.spatial))
    found.count(20, "time based search", has(DCTERMS.temporal))
    # accessibility
    found.count(50, "access URL answers", bool(access) and all([200 <= await status(each) < 300 for each in access]))
    found.count(20, "download URL", each_has(DCAT.downloadURL))
    found.count(30, "download URL answers", bool(download) and all([200 <= await status(each) < 300 for each in download]))
    # interoperability
    found.count(20, "format", each_has(DCTERMS.format))
    found.count(10, "media type", each_has(DCAT.mediaType))
    in_lists = of_vocabulary(distributions, DCTERMS.format, f"{_EU}file-type/")
    media = of_vocabulary(distributions, DCAT.mediaType, "http://www.iana.org/assignments/media-types/")
    found.count(10, "format and media type from vocabulary", in_lists and media)
    found.count(20, "non-proprietary", bool(formats - _PROPRIETARY))
    found.count(20, "machine readable", bool(formats & _MACHINE_READABLE))
    found.count(30, "DCAT-AP compliance", all(map(has, (DCTERMS.title, DCTERMS.description))) and each_has(DCAT.accessURL))
    # reusability
    found.count(20, "licence", each_has(DCTERMS.license))
    found.count(10, "licence from vocabulary", of_vocabulary(distributions, DCTERMS.license, f"{_EU}licence/"))
    found.count(10, "access rights", has(DCTERMS.accessRights))
    found.count(5, "access rights from vocabulary", of_vocabulary([dataset], DCTERMS.accessRights, f"{_EU}access-right/"))
    found.count(20, "contact point", has(DCAT.contactPoint))
    found.count(10, "publisher", has(DCTERMS.publisher))
    # contextuality
    found.count(5, "rights", each_has(DCTERMS.rights))
    found.count(5, "file size", each_has(DCAT.byteSize))
    found.count(5, "date of issue", has(DCTERMS.issued))
    found.count(5, "modification date", has(DCTERMS.modified))
    return found
