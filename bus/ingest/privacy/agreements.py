"""Join domains: whose pseudonyms of one person are the same. An agency's own, unless a written agreement names the agencies that share one.

`schemas/agreements/<domain>.toml` is the agreement, `[privacy] join_domain = "<domain>"` in an agency.toml takes part in it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bus.errors import ConfigurationError, Problem

FOLDER = "agreements"
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


class Agreement(BaseModel):
    """A data-sharing agreement: its domain is the file's name. `until` is its last day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agencies: tuple[str, ...] = Field(min_length=2)
    reference: str = Field(min_length=5, description="number and day of the signed agreement")
    purpose: str = Field(min_length=20, description="what may be joined, and what for")
    until: date


def read_agreements(roots: Sequence[Path]) -> tuple[Mapping[str, Agreement], list[Problem]]:
    """Domain -> agreement, from `<root>/agreements/*.toml`, and what is wrong with any."""
    found: dict[str, Agreement] = {}
    problems: list[Problem] = []
    for path in (path for root in roots for path in sorted((root / FOLDER).glob("*.toml"))):
        try:
            agreement = Agreement.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            problems += [Problem(f"{path}: {'.'.join(map(str, item['loc']))}", item["msg"], "A02") for item in error.errors()]
            continue
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            problems.append(Problem(str(path), str(error), "A02"))
            continue
        if path.stem in found or not _NAME.match(path.stem):
            problems.append(Problem(str(path), "an agreement's file is <domain>.toml, lower case with _, each domain once", "A02"))
        found.setdefault(path.stem, agreement)
    return found, problems


def domain_problems(agency: str, domain: str, agreements: Mapping[str, Agreement], today: date) -> Iterable[str]:
    """What speaks against that agency using the keys of that domain today. Its own domain, or none, is always allowed."""
    if domain in {"", agency}:
        return
    agreement = agreements.get(domain)
    if agreement is None:
        known = ", ".join(sorted(agreements)) or "none"
        yield f"join domain {domain!r} has no agreement schemas/{FOLDER}/{domain}.toml; there are: {known}"
    elif agency not in agreement.agencies:
        yield f"the agreement {domain!r} ({agreement.reference}) does not name {agency}; it names {', '.join(agreement.agencies)}"
    elif agreement.until < today:
        yield f"the agreement {domain!r} ({agreement.reference}) ended on {agreement.until}"


def join_domain(agency: str, domain: str, roots: Sequence[Path], today: date) -> str:
    """The domain whose key makes the agency's pseudonyms. Raises `ConfigurationError` when no agreement in force allows it."""
    agreements, problems = read_agreements(roots) if domain not in {"", agency} else ({}, [])
    problems = problems or [Problem(f"agency {agency}", what, "A02") for what in domain_problems(agency, domain, agreements, today)]
    if problems:
        raise ConfigurationError(problems)
    return domain or agency
