"""Erasing a subject: the key of its sealed fields is destroyed, and the audit keeps that it was, by whom and why."""

from __future__ import annotations

from bus.errors import ConfigurationError, Problem
from bus.events.nik import contains_nik, contains_phone
from bus.events.schema import EventSchema
from bus.ingest.privacy.keys import AgencyKeys
from bus.ops.audit import Audit, State, check_reason

ACTION = "erase"


async def erase(agency: str, keys: AgencyKeys, event: EventSchema, subject: str, *, reason: str, audit: Audit) -> list[str]:
    """Destroy the keys of a subject, or of all that begin with what stands before a final `*`; the subjects that had one.

    Afterwards nobody can read their sealed fields, in the log or anywhere; what comes later about them is sealed to nothing. Events, counts
    and proofs stay as they are, for no indicator reads a sealed field. Stopped in between it is run again. Raises `ConfigurationError` for
    a type without sealed fields, a subject with a raw identifier in it and one that this machine has no key of.
    """
    reason = check_reason(reason)
    if contains_nik(subject) or contains_phone(subject):
        what = "holds a raw identifier; name the subject as it stands in the topic (`bus keys pseudonym` makes a pseudonym)"
        raise ConfigurationError([Problem("subject", what)])
    if not any(field.sealed for field in event.fields.values()):
        raise ConfigurationError([Problem(event.name, "has no sealed fields: there is nothing of it that could be erased")])
    names = keys.vault.subjects(event.name, subject) if keys.has_vault else []
    if not names:
        raise ConfigurationError([Problem(f"{event.name} {subject}", f"the key store of {agency} on this machine knows no such subject")])
    about = f"{agency}/{event.name}/{subject}"
    counts = {event.name: {"subjects": len(names)}}
    await audit.note(ACTION, about, State.BEGUN, reason=reason, counts=counts)
    erased = [name for name in names if keys.vault.erase(event.name, name)]
    await audit.note(ACTION, about, State.DONE, reason=reason, counts=counts)
    return erased
