"""Code that makes a metric of its own."""

from prometheus_client import Counter

COUNTER = Counter
