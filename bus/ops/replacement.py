"""Replacing a pseudonym key that leaked, and forgetting it afterwards: what the keys need, and what the audit keeps of it."""

from __future__ import annotations

from collections.abc import Collection

from bus.errors import ConfigurationError, Problem
from bus.ingest.privacy.keys import AgencyKeys
from bus.kafka.topics import EVENTS_PREFIX
from bus.ops.audit import Audit, State, check_reason

REPLACE, FORGET = "replace key", "forget key"


async def replace_key(keys: AgencyKeys, types: Collection[str], *, reason: str, audit: Audit | None) -> None:
    """Put a new key in the place of the domain's, and close `types`, which hold pseudonyms of the old one.

    Without an `audit` nobody keeps who did it. Killed in between it is run again. Raises `ConfigurationError` as
    `AgencyKeys.check_replaceable` does; where all but the last record of the audit was written, it writes that one and does not raise.
    """
    reason, counts = check_reason(reason), {keys.domain: {"types": len(types)}}
    if not (keys.replaced and await _only_begun(REPLACE, keys.domain, audit)):
        keys.check_replaceable()
        if audit is not None:
            await audit.note(REPLACE, keys.domain, State.BEGUN, reason=reason, counts=counts)
        keys.replace(types)
    if audit is not None:
        await audit.note(REPLACE, keys.domain, State.DONE, reason=reason, counts=counts)


async def forget_former(keys: AgencyKeys, *, reason: str, audit: Audit, declared: Collection[str], topics: Collection[str]) -> None:
    """Destroy the former key of a domain. Afterwards nobody can tell here which pseudonym of before a person had.

    Killed in between it is run again. Raises `ConfigurationError` when there is none, and while an event type with its pseudonyms is
    declared or has a topic: its persons could ask for what stands there, and nothing would stop pseudonyms of the new key from going
    there too.
    """
    reason, types = check_reason(reason), sorted(keys.closed)
    problems = [
        Problem(name, "is still declared: take its schema, its entry in agency.toml and its indicators away, or its topic is made again")
        for name in types
        if name in declared
    ]
    problems += [
        Problem(EVENTS_PREFIX + name, "still exists and holds pseudonyms of the former key: delete it when the new topics are proven")
        for name in types
        if EVENTS_PREFIX + name in topics
    ]
    if problems:
        raise ConfigurationError(problems)
    counts = {keys.domain: {"types": len(types)}}
    if keys.has_former or not await _only_begun(FORGET, keys.domain, audit):
        keys.check_forgettable()
        await audit.note(FORGET, keys.domain, State.BEGUN, reason=reason, counts=counts)
        keys.forget_former()
    await audit.note(FORGET, keys.domain, State.DONE, reason=reason, counts=counts)


async def _only_begun(action: str, domain: str, audit: Audit | None) -> bool:
    """Whether the last of such deeds has no record of its end: what was done, was done by a run that was killed after it."""
    deeds = await audit.deeds(action, domain) if audit is not None else []
    return bool(deeds) and deeds[-1].state is State.BEGUN
