"""The public works agency: surveys of road segments, and reports of damage with their repair."""
