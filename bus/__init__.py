"""Simpul: an event-driven integration bus for the agencies of a regency."""

__version__ = "0.1.0"
