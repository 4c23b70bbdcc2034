"""Which of PostgreSQL's errors waiting may mend, and what of them may be repeated. Pure."""

from __future__ import annotations

from bus.ingest.messages import mask

#: By class of SQLSTATE: wrong syntax or rights, no such database or schema, data that the query cannot compute, not supported.
_LASTING = ("42", "28", "3D", "3F", "22", "0A")
#: What libpq says of a connection that was refused for good; it gives no SQLSTATE then.
_REFUSED = ("password authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied", "no password supplied")


def lasting(state: str | None, text: str) -> bool:
    """Whether waiting does not mend it."""
    return state.startswith(_LASTING) if state else any(part in text for part in _REFUSED)


def sayable(state: str | None, text: str) -> str:
    """What may be repeated: the first line, for details quote rows; of data that could not be computed (class 22) nothing but the class."""
    if state and state.startswith("22"):
        return f"SQLSTATE {state}"
    return mask(text.strip().partition("\n")[0])[:200]
