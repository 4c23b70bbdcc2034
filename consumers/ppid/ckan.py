"""Datasets as CKAN's action API describes them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from bus.indicators.windows import to_datetime
from bus.settings import PpidSettings
from consumers.ppid.addresses import Addresses, identifier
from consumers.ppid.checks import LICENCES
from consumers.ppid.library import Card
from consumers.ppid.listing import CATEGORIES
from consumers.ppid.metadata import Metadata
from consumers.ppid.package import FORMATS, keywords
from consumers.ppid.shelf import PACKAGE, PROVENANCE

Package = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Describer:
    """Makes CKAN's dictionaries of what is published."""

    settings: PpidSettings
    addresses: Addresses

    def package(self, card: Card) -> Package:
        """As `package_show` answers."""
        metadata = card.metadata
        _, licence_url, licence_id, licence_title = LICENCES[metadata.licence]
        organization = self.organization(metadata.agency, metadata.agency_title, None)
        resources = [self.resource(card, ending, number) for number, ending in enumerate(card.made)]
        return {
            "id": identifier("dataset", card.id),
            "name": metadata.name,
            "title": metadata.title["id"],
            "notes": metadata.satu_data["definisi"],
            "url": self.addresses.dataset(card.id),
            "version": f"{metadata.version}+{card.vintage}",
            "type": "dataset",
            "state": "active",
            "private": False,
            "isopen": True,
            "license_id": licence_id,
            "license_title": licence_title,
            "license_url": licence_url,
            "author": metadata.agency_title["id"],
            "author_email": None,
            "maintainer": f"PPID {self.settings.publisher}",
            "maintainer_email": self.settings.contact,
            "metadata_created": _naive(card.issued_us),
            "metadata_modified": _naive(max(card.moment_us, card.issued_us)),
            "creator_user_id": None,
            "owner_org": organization["id"],
            "organization": organization,
            "tags": [_tag(word) for word in keywords(metadata)],
            "num_tags": len(keywords(metadata)),
            "groups": [],
            "extras": [{"key": key, "value": value} for key, value in self._extras(card).items()],
            "resources": resources,
            "num_resources": len(resources),
            "relationships_as_subject": [],
            "relationships_as_object": [],
        }

    def resource(self, card: Card, ending: str, position: int = 0) -> Package:
        """As `resource_show` answers. The rows of the CSV can be asked for by `datastore_search`."""
        kind, made = FORMATS[ending], card.made[ending]
        return {
            "id": identifier("resource", card.id, ending),
            "package_id": identifier("dataset", card.id),
            "name": f"{card.metadata.title['id']} ({kind.label})",
            "description": kind.about,
            "url": self.addresses.file(card.id, ending),
            "url_type": None,
            "format": kind.label,
            "mimetype": kind.media_type.partition(";")[0],
            "size": made.size,
            "hash": f"sha256:{made.sha256}",
            "created": _naive(card.issued_us),
            "last_modified": _naive(card.moment_us),
            "metadata_modified": _naive(card.moment_us),
            "datastore_active": ending == "csv",
            "state": "active",
            "position": position,
            "resource_type": "file",
        }

    def organization(self, agency: str, title: Mapping[str, str], count: int | None) -> Package:
        """An agency as a CKAN organization."""
        found: Package = {
            "id": identifier("organization", agency),
            "name": agency,
            "title": title["id"],
            "display_name": title["id"],
            "description": title.get("en", ""),
            "type": "organization",
            "is_organization": True,
            "approval_status": "approved",
            "state": "active",
            "image_url": "",
        }
        return found if count is None else found | {"package_count": count}

    def _extras(self, card: Card) -> Mapping[str, str]:
        """The fields that Indonesian portals show beside a dataset, by the names they use."""
        metadata: Metadata = card.metadata
        about = metadata.satu_data
        return {
            "Konsep": about["konsep"],
            "Definisi": about["definisi"],
            "Rumus Perhitungan": about["rumus"],
            "Interpretasi": about.get("interpretasi", ""),
            "Satuan": about["satuan"],
            "Ukuran": about["ukuran"],
            "Klasifikasi": about["klasifikasi"],
            "Sumber Data": about["produsen_data"],
            "Kategori Informasi": CATEGORIES.get(metadata.publish_class, metadata.publish_class),
            "Frekuensi": metadata.window,
            "Kode Referensi": "Kode wilayah Kemendagri" if any(each.name == "region" for each in metadata.dimensions) else "-",
            "id_indikator": metadata.id,
            "vintage": card.vintage,
            "datapackage": self.addresses.beside(card.id, PACKAGE),
            "provenance": self.addresses.beside(card.id, PROVENANCE),
        }


def _tag(word: str) -> Package:
    name = re.sub(r"[^\w \-.]", " ", word).strip()[:100]
    return {"id": identifier("tag", name), "name": name, "display_name": name, "state": "active", "vocabulary_id": None}


def _naive(moment_us: int) -> str:
    """CKAN's moments are UTC without an offset."""
    return to_datetime(moment_us).astimezone(UTC).replace(tzinfo=None).isoformat()
