"""Keys are made once, survive rotation at whatever instant it stops, and are destroyed for good."""

from __future__ import annotations

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bus.errors import ConfigurationError
from bus.events.personal import ERASED, fits
from bus.ingest.manifest import Agency, read_manifest
from bus.ingest.privacy import keyring as module
from bus.ingest.privacy.agreements import domain_problems, join_domain, read_agreements
from bus.ingest.privacy.door import Door
from bus.ingest.privacy.fields import Nik
from bus.ingest.privacy.keyring import Keyring
from bus.ingest.privacy.keys import AgencyKeys, agency_keys
from bus.ingest.privacy.vault import Vault
from bus.settings import Settings
from bus.testing.clock import ManualClock

NIK = Nik("3309121203990001")
AT = datetime(2026, 5, 1, tzinfo=UTC)


def pseudonym(keys: AgencyKeys) -> str:
    return Door(keys).pseudonym(NIK)


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    first, second = (AgencyKeys("rsud", "rsud", tmp_path / "keys", {}) for _ in range(2))
    assert pseudonym(first) == pseudonym(second)
    assert pseudonym(AgencyKeys("rsud", "other", tmp_path / "keys", {})) != pseudonym(first)
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "keys").iterdir()} == {"0o600"}


def test_rotation_changes_the_wrapping_and_nothing_else(tmp_path: Path) -> None:
    keys = AgencyKeys("rsud", "rsud", tmp_path, {"kek_folder": str(tmp_path / "elsewhere")})
    before, sealed = pseudonym(keys), keys.seal("t", "s", "f", "Jl. Merbabu")
    keks = {path: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()}
    assert len(keys.rotate()) == len(keks) == 2
    assert all(path.read_bytes() != old for path, old in keks.items())
    after = AgencyKeys("rsud", "rsud", tmp_path, {"kek_folder": str(tmp_path / "elsewhere")})
    assert pseudonym(after) == before
    assert after.vault.open("t", "s", "f", sealed) == "Jl. Merbabu"
    assert after.seal("t", "s", "f", "Jl. Merbabu") == sealed
    for path, old in keks.items():
        path.write_bytes(old)
    with pytest.raises(ConfigurationError, match="wrapped by another key"):
        pseudonym(AgencyKeys("rsud", "rsud", tmp_path, {"kek_folder": str(tmp_path / "elsewhere")}))


@pytest.mark.parametrize("instant", range(4))
def test_a_rotation_that_is_killed_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instant: int) -> None:
    ring = Keyring(tmp_path, "k")
    secret = ring.secret()
    writes = 0

    def replace(path: Path, content: bytes) -> None:
        nonlocal writes
        if writes == instant:
            raise KeyboardInterrupt
        writes += 1
        path.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(module, "replace_file", replace)
        if instant < 3:
            with pytest.raises(KeyboardInterrupt):
                ring.rotate()
        else:
            ring.rotate()
    assert Keyring(tmp_path, "k").secret() == secret
    Keyring(tmp_path, "k").rotate()
    assert Keyring(tmp_path, "k").secret() == secret


def test_keys_from_settings(tmp_path: Path) -> None:
    raw = base64.b64encode(os.urandom(32)).decode()
    (tmp_path / "k").write_text(raw + "\n")
    given = AgencyKeys("rsud", "rsud", tmp_path / "none", {"pseudonym_key": raw})
    assert pseudonym(given) == pseudonym(AgencyKeys("dinkes", "dinkes", tmp_path / "none", {"pseudonym_key": f"file:{tmp_path / 'k'}"}))
    assert not (tmp_path / "none").exists()
    for wrong in ("secret!", base64.b64encode(b"short").decode(), f"file:{tmp_path / 'missing'}"):
        with pytest.raises(ConfigurationError) as caught:
            pseudonym(AgencyKeys("rsud", "rsud", tmp_path, {"pseudonym_key": wrong}))
        assert "secret!" not in str(caught.value)


def test_an_erased_subject_cannot_be_read_and_stays_erased(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "v.db", bytes(32))
    sealed = {name: vault.seal("t", name, "address", "Jl. Merbabu 3") for name in ("a", "b")}
    assert len(set(sealed.values())) == 2
    assert all(fits("sealed", text) for text in sealed.values())
    assert vault.open("t", "a", "address", sealed["a"]) == "Jl. Merbabu 3"
    with pytest.raises(ConfigurationError):
        vault.open("t", "b", "address", sealed["a"])
    key = bytes(vault._db.execute("SELECT box FROM subject WHERE name = 'a'").fetchone()[0])
    assert vault.erase("t", "a")
    assert not vault.erase("t", "a")
    assert not vault.erase("t", "never seen")
    vault.close()
    again = Vault(tmp_path / "v.db", bytes(32))
    assert again.open("t", "a", "address", sealed["a"]) is None
    assert again.open("t", "b", "address", sealed["b"]) == "Jl. Merbabu 3"
    assert again.seal("t", "a", "address", "Jl. Merbabu 3") == again.seal("t", "never seen", "address", "x") == ERASED
    again.close()
    assert not [path.name for path in tmp_path.iterdir() if key in path.read_bytes()], "the key is still on the disk"


def test_many_at_once_agree_on_a_subjects_key(tmp_path: Path) -> None:
    vaults = [Vault(tmp_path / "v.db", bytes(32)) for _ in range(2)]

    def seal(number: int) -> str:
        return vaults[number % 2].seal("t", str(number % 7), "f", "text")

    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(seal, range(350)))
    assert len(set(sealed)) == 7
    for vault in vaults:
        vault.close()


AGREEMENT = 'agencies = ["rsud", "dinkes"]\nreference = "PKS 12/2026"\npurpose = "rujukan pasien antara rumah sakit dan dinas"\nuntil = 2026-12-31\n'
MANIFEST = """
id = "rsud"
title = "RSUD"
owner = "RSUD"
summary = "Rumah sakit umum daerah rekaan untuk menguji kunci pseudonim. A made-up hospital."
settings = ["folder"]
[privacy]
join_domain = "kesehatan"
[events."rsud.visit.recorded.v1"]
access = "restricted"
[sources.visits]
kind = "append"
header = { a = ["a"] }
"""


def agency(folder: Path) -> Agency:
    (folder / "rsud").mkdir(parents=True)
    (folder / "rsud" / "agency.toml").write_text(MANIFEST)
    found, problems = read_manifest(folder / "rsud" / "agency.toml")
    assert found is not None
    assert not problems
    return found


def test_a_join_domain_needs_an_agreement(tmp_path: Path) -> None:
    roots = [tmp_path / "schemas"]
    (roots[0] / "agreements").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="no agreement"):
        join_domain("rsud", "kesehatan", roots, date(2026, 5, 1))
    (roots[0] / "agreements" / "kesehatan.toml").write_text(AGREEMENT)
    assert join_domain("rsud", "kesehatan", roots, date(2026, 12, 31)) == "kesehatan"
    assert join_domain("rsud", "", roots, date(2026, 5, 1)) == "rsud"
    agreements, _ = read_agreements(roots)
    assert "does not name dinsos" in " ".join(domain_problems("dinsos", "kesehatan", agreements, date(2026, 5, 1)))
    assert "ended" in " ".join(domain_problems("rsud", "kesehatan", agreements, date(2027, 1, 1)))
    (roots[0] / "agreements" / "kosong.toml").write_text('agencies = ["rsud"]\n')
    assert len(read_agreements(roots)[1]) == 4


def test_agencies_of_one_domain_share_pseudonyms(tmp_path: Path) -> None:
    settings = Settings(overlay=(tmp_path,), data_dir=tmp_path / "var")
    found = agency(tmp_path / "connectors")
    with pytest.raises(ConfigurationError, match="no agreement"):
        agency_keys(found, settings, ManualClock(AT))
    (tmp_path / "schemas" / "agreements").mkdir(parents=True)
    (tmp_path / "schemas" / "agreements" / "kesehatan.toml").write_text(AGREEMENT)
    keys = agency_keys(found, settings, ManualClock(AT))
    assert keys.domain == "kesehatan"
    assert pseudonym(keys) == pseudonym(AgencyKeys("dinkes", "kesehatan", tmp_path / "var" / "keys", {}))
