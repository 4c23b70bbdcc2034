"""A package."""

from bus.errors import BusError

__all__ = ["BusError"]
