"""A catalogue."""

from prometheus_client import CollectorRegistry, Gauge

REGISTRY = CollectorRegistry()
wait = Gauge("bus_wait_milliseconds", "Time waited.", ["agency"], registry=REGISTRY)
