"""Which schema the values of a topic have."""

from __future__ import annotations

#: The record in every `indicators.<id>` and `history.<id>` topic.
INDICATOR_VALUE = "bus.indicator_value.v1"
#: The record in every `public.<id>` topic.
PUBLIC_VALUE = "bus.public_value.v1"


def schema_name_of(topic: str) -> str | None:
    """The name of the schema that a topic's values have, or None for topics without Avro."""
    if topic.startswith("events."):
        return topic.removeprefix("events.")
    if topic.startswith("public."):
        return PUBLIC_VALUE
    return INDICATOR_VALUE if topic.startswith(("indicators.", "history.")) else None
