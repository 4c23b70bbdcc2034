"""Which keys an agency's door uses: from its settings, else from the folder of keys, where they are made with a warning when there are none.

BUS_<AGENCY>__PSEUDONYM_KEY         file:PATH or base64 of 32 bytes; else keys/domain.<join domain>.keyring, wrapped
BUS_<AGENCY>__FORMER_PSEUDONYM_KEY  the one before, while a leaked key is replaced; else keys/domain.<join domain>.former.keyring
BUS_<AGENCY>__KEK_FOLDER            the folder of the keys that wrap them, <keyring>.kek; else beside each keyring

keys/domain.<join domain>.former.json lists the event types whose topics hold pseudonyms of the former key: nothing more goes into them.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

from bus.clock import Clock
from bus.errors import ConfigurationError, Problem
from bus.ingest.manifest import Agency
from bus.ingest.privacy import in_use
from bus.ingest.privacy.agreements import join_domain
from bus.ingest.privacy.door import Door, NoKeys
from bus.ingest.privacy.keyring import SIZE, Keyring, read_key, replace_file
from bus.ingest.privacy.vault import Vault
from bus.settings import Settings

PSEUDONYM_KEY, FORMER_KEY, KEK_FOLDER = "pseudonym_key", "former_pseudonym_key", "kek_folder"

#: Settings that every agency has, without its manifest naming them -> what they are.
AGENCY_SETTINGS: Mapping[str, str] = {
    PSEUDONYM_KEY: "the key of the agency's join domain: file:PATH, or base64 of 32 bytes; none: made in BUS_DATA_DIR/keys, wrapped",
    FORMER_KEY: "the key before that one, given in the same way while a leaked key is replaced; none: kept by `bus keys replace`",
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
        given = self._given(PSEUDONYM_KEY)
        return self._present.secret() if given is None else given

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

    def door(self, *, simulation: bool) -> Door:
        """The door of the agency's connector; keys are opened, or made, when first used."""
        return Door(self, simulation=simulation, closed=self.closed)

    def known(self, *, simulation: bool = True) -> Door:
        """A door with the keys that the agency's connector uses. Raises `ConfigurationError` where this machine has none: one made now would
        make other pseudonyms."""
        if PSEUDONYM_KEY not in self._values and not self._present.path.exists():
            raise ConfigurationError([Problem(f"agency {self._agency}", f"the key of domain {self.domain} is not on this machine")])
        return Door(self, simulation=simulation)

    def former(self, *, simulation: bool = True) -> Door:
        """A door with the key that was replaced. Raises `ConfigurationError` when there is none on this machine."""
        secret = self._former_secret()
        if secret is None or not self.replaced:
            what = f"no replacement of the key of domain {self.domain} is under way on this machine; `bus keys replace` begins one"
            raise ConfigurationError([Problem(f"agency {self._agency}", what)])
        return Door(_OneKey(secret), simulation=simulation)

    @property
    def replaced(self) -> bool:
        """Whether the domain's key was replaced and the one before is still here."""
        former = self._former_secret()
        return former is not None and self._note.exists() and former != self._stored_secret()

    @property
    def closed(self) -> frozenset[str]:
        """The event types whose topics hold pseudonyms of the former key; none when there is none.

        Raises `ConfigurationError` when the list cannot be read.
        """
        try:
            return frozenset(map(str, json.loads(self._note.read_bytes())))
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError([Problem(str(self._note), f"cannot be read: {type(error).__name__}")]) from error

    def check_replaceable(self) -> None:
        """Raises `ConfigurationError` when there is no key, one before it is still here, the settings give it and no former one, or a
        connector runs here with it."""
        where = f"agency {self._agency}"
        if self.replaced:
            what = (
                f"the key of domain {self.domain} was replaced, and the one before is still here: finish that with `bus keys forget-former`"
            )
            raise ConfigurationError([Problem(where, what)])
        self.known()
        present, former = self._given(PSEUDONYM_KEY), self._given(FORMER_KEY)
        if present is not None and (former is None or former == present):
            raise ConfigurationError([Problem(self._variable(PSEUDONYM_KEY), self._how_to_replace())])
        if present is None and former is not None:
            what = f"goes with {self._variable(PSEUDONYM_KEY)} only; the key of {self._present.path} is kept by this command itself"
            raise ConfigurationError([Problem(self._variable(FORMER_KEY), what)])
        with in_use.alone(self._lock):
            pass

    def used(self) -> AbstractContextManager[None]:
        """Around what runs with the domain's key: until its end nobody replaces it on this machine. Raises `ConfigurationError` while
        somebody does."""
        return in_use.used(self._lock)

    def replace(self, types: Collection[str]) -> None:
        """Make a new key for the domain, keep the one before, and close these event types. On other machines that have the key no connector
        may be running.

        Killed at whatever instant, it is run again: no key is lost, and none is new without its types being closed. Raises
        `ConfigurationError` as `check_replaceable` does.
        """
        self.check_replaceable()
        with in_use.alone(self._lock):
            replace_file(self._note, json.dumps(sorted(types)).encode() + b"\n")
            if PSEUDONYM_KEY not in self._values:
                self._present.supersede(self._former)
        self.__dict__.pop("_pseudonym_key", None)

    @property
    def has_former(self) -> bool:
        """Whether a former key, or what is left of one that was being forgotten, is here."""
        return self.replaced or (self._note.exists() and not self._former.path.exists())

    def check_forgettable(self) -> None:
        """Raises `ConfigurationError` when there is no former key, or the settings give it."""
        if FORMER_KEY in self._values:
            raise ConfigurationError([Problem(self._variable(FORMER_KEY), "is given here: take it away, destroy it, and run this again")])
        if not self.has_former:
            what = f"there is no former key of domain {self.domain} on this machine"
            raise ConfigurationError([Problem(f"agency {self._agency}", what)])

    def forget_former(self) -> None:
        """Destroy the former key on this machine; killed in between, the next call goes on. Raises as `check_forgettable` does."""
        self.check_forgettable()
        self._former.forget()
        self._note.unlink(missing_ok=True)  # last: while it is there, this is not done

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
        rings = [self._present, self._former, self._ring(f"{self._agency}.vault")]
        there = [ring for ring in rings if ring.path.exists()]
        if not there:
            what = "there are no keys of it on this machine; they are made when its connector first needs them"
            raise ConfigurationError([Problem(f"agency {self._agency}", what)])
        for ring in there:
            ring.secret()
        for ring in there:
            ring.rotate()
        return [ring.path for ring in there]

    @property
    def _present(self) -> Keyring:
        return self._ring(f"domain.{self.domain}")

    @property
    def _former(self) -> Keyring:
        return self._ring(f"domain.{self.domain}.former")

    @property
    def _lock(self) -> Path:
        return self._folder / f"domain.{self.domain}.lock"

    @property
    def _note(self) -> Path:
        return self._folder / f"domain.{self.domain}.former.json"

    def _ring(self, name: str) -> Keyring:
        given = self._values.get(KEK_FOLDER)
        return Keyring(self._folder, name, keks=None if given is None else Path(given))

    def _stored_secret(self) -> bytes | None:
        """The key as it is now; None when there is none, which is not made here."""
        given = self._given(PSEUDONYM_KEY)
        return given if given is not None else self._present.secret() if self._present.path.exists() else None

    def _former_secret(self) -> bytes | None:
        given = self._given(FORMER_KEY)
        return given if given is not None else self._former.secret() if self._former.path.exists() else None

    def _given(self, name: str) -> bytes | None:
        value = self._values.get(name)
        return None if value is None else _given_key(self._variable(name), value)

    def _how_to_replace(self) -> str:
        return (
            f"gives the key, so you replace it yourself: give the present one as {self._variable(FORMER_KEY)} and a new one here (base64 of "
            f"{SIZE} random bytes: openssl rand -base64 {SIZE}), both for every agency of domain {self.domain}, and run this again for the rest"
        )

    def _variable(self, name: str) -> str:
        return f"BUS_{self._agency}__{name}".upper()


class _OneKey(NoKeys):
    """A key that makes pseudonyms and seals nothing."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def pseudonym_key(self) -> bytes:
        return self._secret


def agency_keys(agency: Agency, settings: Settings, clock: Clock) -> AgencyKeys:
    """The keys of an agency. Raises `ConfigurationError` when its join domain is not its to use."""
    domain = join_domain(agency.id, agency.manifest.privacy.join_domain, settings.schemas_roots(), clock.now().date())
    values = {name: value.get_secret_value() for name, value in settings.agencies.get(agency.id, {}).items()}
    return AgencyKeys(agency.id, domain, settings.data_dir / "keys", values)


def door_of(agency: Agency, settings: Settings, clock: Clock) -> Door:
    """The door of an agency's connector. Raises `ConfigurationError` as `agency_keys` does; keys are opened when first used."""
    return agency_keys(agency, settings, clock).door(simulation=settings.simulation)


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
