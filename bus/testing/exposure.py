"""Whether a record's identifiers come out of its mapping by another way than the door."""

from __future__ import annotations

from collections.abc import Iterator

from bus.errors import Problem, RecordError
from bus.ingest.manifest import Meaning
from bus.ingest.privacy.door import sample_door
from bus.ingest.privacy.models import personal_fields
from bus.ingest.rows import content_of
from bus.testing.samples import Outcome

#: A shorter value stands in other texts by chance.
_SHORTEST = 4


def exposed(where: str, meaning: Meaning, outcome: Outcome) -> Iterator[Problem]:
    """A problem for each identifier of the record that stands in its events or its key."""
    assert outcome.record is not None
    values = outcome.record.values
    left = [content_of(event) for event in outcome.events]
    try:
        left += sample_door().key(tuple(meaning.key_of(values))) if meaning.key_of is not None else ()
    except RecordError as error:
        yield Problem(where, f"key_of: {error}; allowed: {error.allowed}")
    text = _plain(" ".join(left))
    for field in sorted(personal_fields(meaning.to_events, "direct") & values.keys()):
        value = _plain(str(values[field] or ""))
        if len(value) >= _SHORTEST and value in text:
            yield Problem(where, f"the value of {field} leaves as it is; put the identifier itself into the event, or leave it out")


def _plain(text: str) -> str:
    """As it is compared: case, blanks and marks between the parts of a number or name do not matter."""
    return "".join(char for char in text.upper() if char.isalnum())
