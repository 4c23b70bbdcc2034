"""A catalogue."""

from prometheus_client import CollectorRegistry, Counter

REGISTRY = CollectorRegistry()
files = Counter("bus_files_total", "Files seen.", ["file_name"], registry=REGISTRY)
