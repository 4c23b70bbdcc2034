"""A new agency that works from its first minute: what `bus new-agency` writes."""
