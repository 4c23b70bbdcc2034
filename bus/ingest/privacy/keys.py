"""Which keys an agency's door uses: from its settings, else from the folder of keys, where they are made with a warning when there are none.

BUS_<AGENCY>__PSEUDONYM_KEY         file:PATH or base64 of 32 bytes; else keys/domain.<join domain>.keyring, wrapped
BUS_<AGENCY>__KEK_FOLDER            the folder of the keys that wrap them, <keyring>.kek; else beside each keyring
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from bus.clock import Clock
from bus.errors import ConfigurationError, Problem
from bus.ingest.manifest import Agency
from bus.ingest.privacy.agreements import join_domain
from bus.ingest.privacy.door import Door
from bus.ingest.privacy.keyring import SIZE, Keyring, read_key
from bus.ingest.privacy.vault import Vault
from bus.settings import Settings

PSEUDONYM_KEY, KEK_FOLDER = "pseudonym_key", "kek_folder"

#: Settings that every agency has, without its manifest naming them -> what they are.
AGENCY_SETTINGS: Mapping[str, str] = {
    PSEUDONYM_KEY: "the key of the agency's join domain: file:PATH, or base64 of 32 bytes; none: made in BUS_DATA_DIR/keys, wrapped",
    KEK_FOLDER: "the folder of the keys (.kek) that wrap those in BUS_DATA_DIR/keys, on another disk; none: beside them",
}


class AgencyKeys:
    """The keys of one agency on this machine, opened when first used."""

    def __init__(self, agency: str, domain: str, folder: Path, values: Mapping[str, str]) -> None:
        """`values` are the agency's settings. Nothing is read or made before a key is asked for."""
        self._agency = agency
        self._folder = folder
        self._values = values
        self.domain = domain

    @cached_property
    def _pseudonym_key(self) -> bytes:
        given = self._values.get(PSEUDONYM_KEY)
        return self._ring(f"domain.{self.domain}").secret() if given is None else _given_key(self._variable(PSEUDONYM_KEY), given)

    @cached_property
    def vault(self) -> Vault:
        """The key store of the agency's subjects."""
        return Vault(self._vault_path, self._ring(f"{self._agency}.vault").secret())

    def pseudonym_key(self) -> bytes:
        """Raises `ConfigurationError` for a key that cannot be used."""
        return self._pseudonym_key

    def seal(self, event_type: str, subject: str, field: str, text: str) -> str:
        """See `Vault.seal`."""
        return self.vault.seal(event_type, subject, field, text)

    def known(self) -> Door:
        """A door with the keys that the agency's connector uses. Raises `ConfigurationError` where this machine has none: one made now would
        make other pseudonyms."""
        if PSEUDONYM_KEY not in self._values and not self._ring(f"domain.{self.domain}").path.exists():
            raise ConfigurationError([Problem(f"agency {self._agency}", f"the key of domain {self.domain} is not on this machine")])
        return Door(self, simulation=True)

    @property
    def has_vault(self) -> bool:
        """Whether this machine has a key store of the agency."""
        return self._vault_path.exists()

    @property
    def _vault_path(self) -> Path:
        return self._folder / f"{self._agency}.vault.db"

    def rotate(self) -> list[Path]:
        """Wrap the agency's keys by new key-encryption keys; pseudonyms and sealed texts stay. The keyrings that were wrapped anew.

        Raises `ConfigurationError` when there is nothing to rotate on this machine, or a keyring does not open; it may then be run again.
        """
        rings = [self._ring(name) for name in (f"domain.{self.domain}", f"{self._agency}.vault")]
        there = [ring for ring in rings if ring.path.exists()]
        if not there:
            what = "there are no keys of it on this machine; they are made when its connector first needs them"
            raise ConfigurationError([Problem(f"agency {self._agency}", what)])
        for ring in there:
            ring.secret()
        for ring in there:
            ring.rotate()
        return [ring.path for ring in there]

    def _ring(self, name: str) -> Keyring:
        given = self._values.get(KEK_FOLDER)
        return Keyring(self._folder, name, keks=None if given is None else Path(given))

    def _variable(self, name: str) -> str:
        return f"BUS_{self._agency}__{name}".upper()


def agency_keys(agency: Agency, settings: Settings, clock: Clock) -> AgencyKeys:
    """The keys of an agency. Raises `ConfigurationError` when its join domain is not its to use."""
    domain = join_domain(agency.id, agency.manifest.privacy.join_domain, settings.schemas_roots(), clock.now().date())
    values = {name: value.get_secret_value() for name, value in settings.agencies.get(agency.id, {}).items()}
    return AgencyKeys(agency.id, domain, settings.data_dir / "keys", values)


def door_of(agency: Agency, settings: Settings, clock: Clock) -> Door:
    """The door of an agency's connector. Raises `ConfigurationError` as `agency_keys` does; keys are opened when first used."""
    return Door(agency_keys(agency, settings, clock), simulation=settings.simulation)


def _given_key(variable: str, text: str) -> bytes:
    if text.startswith("file:"):
        return read_key(Path(text.removeprefix("file:")))
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != SIZE:
        raise ConfigurationError([Problem(variable, f"is neither file:PATH nor base64 of {SIZE} bytes")])
    return key
