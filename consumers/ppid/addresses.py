"""The stable addresses of the portal: of datasets, vintages, files and the catalogue. Pure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

#: Under the newest vintage's files, in place of its name.
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses under a base without a slash at its end."""

    base: str

    def dataset(self, id_: str) -> str:
        return f"{self.base}/dataset/{id_}"

    def folder(self, id_: str, vintage: str | None = None) -> str:
        """Where the files of a vintage (None: the newest) are."""
        return f"{self.dataset(id_)}/{f'vintage/{vintage}' if vintage else LATEST}"

    def file(self, id_: str, ending: str, vintage: str | None = None) -> str:
        return f"{self.folder(id_, vintage)}/{id_}.{ending}"

    def beside(self, id_: str, name: str, vintage: str | None = None) -> str:
        return f"{self.folder(id_, vintage)}/{name}"

    def agency(self, agency: str) -> str:
        return f"{self.base}/?agency={agency}"


def identifier(*parts: str) -> str:
    """The UUID by which CKAN knows a thing: the same at every portal that harvests us."""
    return str(uuid.uuid5(_SPACE, "/".join(parts)))


_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:simpul:ppid")
