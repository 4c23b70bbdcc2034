"""The catalogue as a graph: DCAT-AP 3 (SEMIC), for harvesters of other portals. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rdflib import DCAT, DCTERMS, FOAF, OWL, PROV, RDF, RDFS, SKOS, XSD, BNode, Graph, Literal, Namespace, URIRef
from rdflib.term import Node

from bus.settings import PpidSettings
from consumers.ppid.addresses import Addresses, identifier
from consumers.ppid.checks import LICENCES
from consumers.ppid.library import Card
from consumers.ppid.metadata import Metadata
from consumers.ppid.package import FORMATS, keywords
from consumers.ppid.shelf import PACKAGE, PROVENANCE
from consumers.ppid.table import iso

_EU = "http://publications.europa.eu/resource/authority/"
_IANA = "http://www.iana.org/assignments/media-types/"
_VCARD = Namespace("http://www.w3.org/2006/vcard/ns#")
_ADMS = Namespace("http://www.w3.org/ns/adms#")
_SPDX = Namespace("http://spdx.org/rdf/terms#")
_DCATAP = Namespace("http://data.europa.eu/r5r/")
_LOCN = Namespace("http://www.w3.org/ns/locn#")

#: Of DCAT 3; rdflib's closed namespace is that of DCAT 2.
_VERSION = URIRef(f"{DCAT}version")

#: Window -> how often the dataset gets rows, in the EU's vocabulary of frequencies.
_FREQUENCIES = {
    "15m": "CONT", "1h": "HOURLY", "1d": "DAILY", "1w": "WEEKLY", "1mo": "MONTHLY", "1q": "QUARTERLY", "6mo": "ANNUAL_2", "1y": "ANNUAL", "now": "UPDATE_CONT",
}  # fmt: skip
#: What the conformance of a format is called.
_STANDARDS = {
    "csv": "https://www.rfc-editor.org/rfc/rfc4180", "json": "https://www.rfc-editor.org/rfc/rfc8259", "parquet": "https://parquet.apache.org/docs/file-format/",
    "xlsx": "https://www.iso.org/standard/71691.html", "sdmx.csv": "https://github.com/sdmx-twg/sdmx-csv",
}  # fmt: skip
#: Everything here is about the work of government.
_THEME = "GOVE"


@dataclass(frozen=True, slots=True)
class Place:
    """The regency: its code of Kemendagri, and its name."""

    code: str
    name: str


def catalogue(cards: Sequence[Card], settings: PpidSettings, addresses: Addresses, place: Place) -> Graph:
    """All of it. The newest vintage's release is when the catalogue was modified."""
    graph = _graph()
    root = URIRef(f"{addresses.base}/catalog")
    publisher = _publisher(graph, settings, addresses)
    _say(graph, root, RDF.type, DCAT.Catalog)
    _say(graph, root, DCTERMS.title, Literal("Data terbuka PPID", "id"), Literal("Open data of the PPID", "en"))
    _say(graph, root, DCTERMS.description, Literal(f"Data terbuka {settings.publisher}: setiap angka dapat dibuktikan.", "id"))
    _say(graph, root, DCTERMS.publisher, publisher)
    _say(graph, root, FOAF.homepage, _typed(graph, URIRef(f"{addresses.base}/"), FOAF.Document))
    _say(graph, root, DCTERMS.language, _language(graph))
    _say(graph, root, DCAT.themeTaxonomy, _taxonomy(graph))
    _say(graph, root, DCTERMS.spatial, _location(graph, place))
    if cards:
        _say(graph, root, DCTERMS.license, _licence(graph, cards[0].metadata))
        _say(graph, root, DCTERMS.issued, _moment(min(card.issued_us for card in cards)))
        _say(graph, root, DCTERMS.modified, _moment(max(card.moment_us for card in cards)))
    for card in cards:
        _say(graph, root, DCAT.dataset, add_dataset(graph, card, settings, addresses, place))
    _say(graph, root, DCAT.service, _service(graph, cards, settings, addresses, publisher))
    return graph


def single(card: Card, settings: PpidSettings, addresses: Addresses, place: Place) -> Graph:
    """One dataset and what it refers to."""
    graph = _graph()
    add_dataset(graph, card, settings, addresses, place)
    return graph


def add_dataset(graph: Graph, card: Card, settings: PpidSettings, addresses: Addresses, place: Place) -> URIRef:
    """Add a dataset with its distributions; its node."""
    metadata = card.metadata
    node = URIRef(addresses.dataset(card.id))
    about = metadata.satu_data
    _say(graph, node, RDF.type, DCAT.Dataset)
    _say(graph, node, DCTERMS.title, Literal(metadata.title["id"], "id"), Literal(metadata.title["en"], "en"))
    _say(graph, node, DCTERMS.description, Literal(f"{about['definisi']} Rumus: {about['rumus']}. Satuan: {about['satuan']}.", "id"))
    _say(graph, node, DCTERMS.identifier, Literal(addresses.dataset(card.id)))
    _say(graph, node, DCTERMS.publisher, _publisher(graph, settings, addresses))
    _say(graph, node, DCTERMS.creator, _agency(graph, metadata, addresses))
    _say(graph, node, DCAT.contactPoint, _contact(graph, settings, addresses))
    _say(graph, node, DCAT.keyword, *(Literal(word, "id") for word in keywords(metadata)))
    _say(graph, node, DCAT.theme, _theme(graph))
    _say(
        graph, node, DCTERMS.accrualPeriodicity, _concept(graph, "frequency", _FREQUENCIES.get(metadata.window, "OTHER"), DCTERMS.Frequency)
    )
    _say(graph, node, DCTERMS.accessRights, _concept(graph, "access-right", "PUBLIC", DCTERMS.RightsStatement))
    _say(graph, node, DCTERMS.spatial, _location(graph, place))
    _say(graph, node, DCTERMS.temporal, _temporal(graph, card))
    _say(graph, node, DCTERMS.language, _language(graph))
    _say(graph, node, DCTERMS.issued, _moment(card.issued_us))
    _say(graph, node, DCTERMS.modified, _moment(card.moment_us))
    _say(graph, node, DCAT.landingPage, _typed(graph, URIRef(addresses.dataset(card.id) + "/page"), FOAF.Document))
    _say(graph, node, _VERSION, Literal(f"{metadata.version}+{card.vintage}"))
    _say(graph, node, _ADMS.versionNotes, Literal(f"Rilis {iso(card.moment_us)}, definisi versi {metadata.version}", "id"))
    _say(
        graph,
        node,
        DCTERMS.conformsTo,
        _standard(graph, "https://peraturan.bpk.go.id/Details/108813/perpres-no-39-tahun-2019", "Satu Data Indonesia"),
    )
    source = BNode(identifier("provenance", card.id))
    _say(graph, source, RDF.type, DCTERMS.ProvenanceStatement)
    _say(
        graph,
        source,
        RDFS.label,
        Literal(f"Dihitung dari kejadian {metadata.event or card.id}; posisi log: {addresses.beside(card.id, PROVENANCE)}", "id"),
    )
    _say(graph, node, DCTERMS.provenance, source)
    for ending in card.made:
        _say(graph, node, DCAT.distribution, _distribution(graph, card, ending, addresses))
    return node


def _distribution(graph: Graph, card: Card, ending: str, addresses: Addresses) -> URIRef:
    kind, made = FORMATS[ending], card.made[ending]
    node = URIRef(f"{addresses.dataset(card.id)}#{ending}")
    download = _typed(graph, URIRef(addresses.file(card.id, ending)), RDFS.Resource)
    _say(graph, node, RDF.type, DCAT.Distribution)
    _say(graph, node, DCTERMS.title, Literal(f"{card.metadata.title['id']} ({kind.label})", "id"))
    _say(graph, node, DCTERMS.description, Literal(kind.about, "id"))
    _say(graph, node, DCAT.accessURL, download)
    _say(graph, node, DCAT.downloadURL, download)
    _say(graph, node, DCTERMS.format, _concept(graph, "file-type", kind.eu, DCTERMS.MediaTypeOrExtent))
    media = URIRef(_IANA + kind.media_type.partition(";")[0])
    _say(graph, node, DCAT.mediaType, _typed(graph, media, DCTERMS.MediaType))
    _say(graph, node, DCTERMS.license, _licence(graph, card.metadata))
    rights = BNode(identifier("rights", card.metadata.licence))
    _say(graph, rights, RDF.type, DCTERMS.RightsStatement)
    _say(graph, rights, RDFS.label, Literal("Informasi publik (UU 14/2008); sebutkan sumbernya.", "id"))
    _say(graph, node, DCTERMS.rights, rights)
    _say(graph, node, DCAT.byteSize, Literal(made.size, datatype=XSD.nonNegativeInteger))
    _say(graph, node, DCTERMS.issued, _moment(card.issued_us))
    _say(graph, node, DCTERMS.modified, _moment(card.moment_us))
    _say(graph, node, DCTERMS.language, _language(graph))
    _say(graph, node, DCTERMS.conformsTo, _standard(graph, _STANDARDS[ending], kind.label))
    _say(graph, node, _DCATAP.availability, _concept(graph, "planned-availability", "STABLE", SKOS.Concept))
    _say(graph, node, FOAF.page, _typed(graph, URIRef(addresses.beside(card.id, PACKAGE)), FOAF.Document))
    checksum = BNode(identifier("checksum", card.id, ending))
    _say(graph, checksum, RDF.type, _SPDX.Checksum)
    _say(graph, checksum, _SPDX.algorithm, _typed(graph, _SPDX.checksumAlgorithm_sha256, _SPDX.ChecksumAlgorithm))
    _say(graph, checksum, _SPDX.checksumValue, Literal(made.sha256, datatype=XSD.hexBinary))
    _say(graph, node, _SPDX.checksum, checksum)
    return node


def _service(graph: Graph, cards: Sequence[Card], settings: PpidSettings, addresses: Addresses, publisher: URIRef) -> URIRef:
    node = URIRef(f"{addresses.base}/api/3/action/#service")
    _say(graph, node, RDF.type, DCAT.DataService)
    _say(graph, node, DCTERMS.title, Literal("API CKAN", "id"))
    _say(graph, node, DCTERMS.description, Literal("Pencarian dataset dan baris data dengan API CKAN, sisi baca.", "id"))
    _say(graph, node, DCAT.endpointURL, _typed(graph, URIRef(f"{addresses.base}/api/3/action/"), RDFS.Resource))
    _say(graph, node, DCAT.endpointDescription, _typed(graph, URIRef(f"{addresses.base}/openapi.json"), RDFS.Resource))
    _say(graph, node, DCTERMS.publisher, publisher)
    _say(graph, node, DCAT.theme, _theme(graph))
    _say(graph, node, DCAT.keyword, Literal("api", "id"), Literal("data terbuka", "id"))
    _say(graph, node, DCTERMS.conformsTo, _standard(graph, "https://docs.ckan.org/en/2.11/api/", "CKAN Action API v3"))
    _say(graph, node, DCAT.contactPoint, _contact(graph, settings, addresses))
    _say(graph, node, DCTERMS.accessRights, _concept(graph, "access-right", "PUBLIC", DCTERMS.RightsStatement))
    _say(graph, node, DCAT.servesDataset, *(URIRef(addresses.dataset(card.id)) for card in cards))
    if cards:
        _say(graph, node, DCTERMS.license, _licence(graph, cards[0].metadata))
    return node


def _publisher(graph: Graph, settings: PpidSettings, addresses: Addresses) -> URIRef:
    node = URIRef(settings.publisher_url)
    _say(graph, node, RDF.type, FOAF.Agent)
    _say(graph, node, FOAF.name, Literal(settings.publisher, "id"))
    _say(graph, node, DCTERMS.type, _adms(graph, "publishertype", "LocalAuthority"))
    return node


def _agency(graph: Graph, metadata: Metadata, addresses: Addresses) -> URIRef:
    node = URIRef(addresses.agency(metadata.agency))
    _say(graph, node, RDF.type, FOAF.Agent)
    _say(graph, node, DCTERMS.type, _adms(graph, "publishertype", "LocalAuthority"))
    _say(graph, node, FOAF.name, *(Literal(text, language) for language, text in metadata.agency_title.items()))
    return node


def _contact(graph: Graph, settings: PpidSettings, addresses: Addresses) -> URIRef:
    node = URIRef(f"{addresses.base}/#ppid")
    _say(graph, node, RDF.type, _VCARD.Organization, _VCARD.Kind)
    _say(graph, node, _VCARD.fn, Literal(f"PPID {settings.publisher}"))
    _say(graph, node, _VCARD.hasEmail, URIRef(f"mailto:{settings.contact}"))
    return node


def _location(graph: Graph, place: Place) -> URIRef:
    node = URIRef(f"{_EU}country/IDN")
    _say(graph, node, RDF.type, DCTERMS.Location)
    _say(graph, node, SKOS.prefLabel, Literal(f"Kabupaten {place.name}, Jawa Tengah, Indonesia", "id"))
    _say(graph, node, SKOS.inScheme, URIRef(f"{_EU}country"))
    _say(graph, node, DCTERMS.identifier, Literal(place.code))
    return node


def _temporal(graph: Graph, card: Card) -> Node:
    node = BNode(identifier("temporal", card.id))
    _say(graph, node, RDF.type, DCTERMS.PeriodOfTime)
    _say(graph, node, DCAT.startDate, _moment(card.first_us if card.first_us is not None else card.moment_us))
    _say(graph, node, DCAT.endDate, _moment(card.last_us if card.last_us is not None else card.moment_us))
    return node


def _licence(graph: Graph, metadata: Metadata) -> URIRef:
    name, address, _, title = LICENCES[metadata.licence]
    node = URIRef(f"{_EU}licence/{name}")
    _say(graph, node, RDF.type, DCTERMS.LicenseDocument)
    _say(graph, node, DCTERMS.title, Literal(title, "en"))
    _say(graph, node, DCTERMS.type, _adms(graph, "licencetype", "PublicDomain" if metadata.licence == "CC0-1.0" else "Attribution"))
    _say(graph, node, OWL.sameAs, URIRef(address))
    return node


def _standard(graph: Graph, address: str, title: str) -> URIRef:
    node = _typed(graph, URIRef(address), DCTERMS.Standard)
    _say(graph, node, DCTERMS.title, Literal(title))
    return node


def _theme(graph: Graph) -> URIRef:
    node = _concept(graph, "data-theme", _THEME, SKOS.Concept)
    _say(graph, node, SKOS.prefLabel, Literal("Pemerintahan dan sektor publik", "id"), Literal("Government and public sector", "en"))
    _say(graph, node, SKOS.inScheme, _taxonomy(graph))
    return node


def _taxonomy(graph: Graph) -> URIRef:
    node = _typed(graph, URIRef(f"{_EU}data-theme"), SKOS.ConceptScheme)
    _say(graph, node, DCTERMS.title, Literal("Data theme", "en"))
    return node


def _language(graph: Graph) -> URIRef:
    return _concept(graph, "language", "IND", DCTERMS.LinguisticSystem)


def _concept(graph: Graph, scheme: str, code: str, kind: URIRef) -> URIRef:
    node = _typed(graph, URIRef(f"{_EU}{scheme}/{code}"), kind)
    _say(graph, node, SKOS.inScheme, URIRef(f"{_EU}{scheme}"))
    if kind == SKOS.Concept:
        _say(graph, node, SKOS.prefLabel, Literal(code, "en"))
    return node


def _adms(graph: Graph, scheme: str, code: str) -> URIRef:
    """A concept of ADMS, by which DCAT-AP tells kinds of publishers and licences."""
    node = _typed(graph, URIRef(f"http://purl.org/adms/{scheme}/{code}"), SKOS.Concept)
    _say(graph, node, SKOS.prefLabel, Literal(code, "en"))
    _say(graph, node, SKOS.inScheme, _typed(graph, URIRef(f"http://purl.org/adms/{scheme}/1.0"), SKOS.ConceptScheme))
    return node


def _typed(graph: Graph, node: URIRef, kind: URIRef) -> URIRef:
    graph.add((node, RDF.type, kind))
    return node


def _moment(moment_us: int) -> Literal:
    return Literal(iso(moment_us), datatype=XSD.dateTime)


def _say(graph: Graph, subject: Node, predicate: URIRef, *objects: Node) -> None:
    for each in objects:
        graph.add((subject, predicate, each))


def _graph() -> Graph:
    graph = Graph()
    names: Iterable[tuple[str, object]] = (
        ("dcat", DCAT), ("dct", DCTERMS), ("foaf", FOAF), ("vcard", _VCARD), ("adms", _ADMS), ("spdx", _SPDX), ("dcatap", _DCATAP),
        ("skos", SKOS), ("prov", PROV), ("locn", _LOCN),
    )  # fmt: skip
    for prefix, namespace in names:
        graph.bind(prefix, namespace)
    return graph
