"""All that is declared, loaded once and checked together: schemas, indicators, agencies, consumers, and the topics that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bus.errors import ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.loader import load_indicators
from bus.ingest.manifest import Agency, discover
from bus.kafka.ports import TopicPartition
from bus.kafka.topics import Topic, declared_topics
from bus.ops.consumers import ConsumerManifest, load_consumers
from bus.ops.idle import Duty
from bus.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Installation:
    """What this checkout and its overlays declare."""

    settings: Settings
    catalogue: Catalogue
    codec: Codec
    indicators: Mapping[str, Indicator]
    agencies: Mapping[str, Agency]
    consumers: Mapping[str, ConsumerManifest]

    @classmethod
    def load(cls, settings: Settings) -> Installation:
        """Read everything. Raises one `ConfigurationError` with the problems of all files of all kinds."""
        problems: list[Problem] = []

        def attempt(load: Callable[[], T]) -> T | None:
            try:
                return load()
            except ConfigurationError as error:
                problems.extend(error.problems)
                return None

        roots = settings.schemas_roots()
        catalogue = attempt(lambda: Catalogue.load(roots))
        indicators = attempt(lambda: load_indicators(roots, catalogue)) if catalogue is not None else None
        agencies = attempt(lambda: discover(settings.connector_roots()))
        consumers = attempt(lambda: load_consumers(settings.consumer_roots()))
        if catalogue is None or indicators is None or agencies is None or consumers is None:
            raise ConfigurationError(problems)
        return cls(settings, catalogue, Codec(catalogue), indicators, agencies, consumers)

    def topics(self) -> tuple[Topic, ...]:
        """Every topic that has to be there."""
        return declared_topics(self.settings, self.catalogue.types, self.indicators, self.agencies)

    def fold_duties(self) -> tuple[Duty, ...]:
        """The fold units that the indicators ask for, with the partitions they read."""
        count = self.settings.kafka.event_partitions
        return tuple(
            Duty(FoldUnit.new(indicator, indicator.topic, number, count).unit_id, TopicPartition(indicator.topic, number))
            for indicator in self.indicators.values()
            for number in range(count)
        )

    def indicator(self, name: str) -> Indicator:
        """The indicator of that id. Raises `ConfigurationError` with the ids there are."""
        if name not in self.indicators:
            known = ", ".join(self.indicators) or "none"
            raise ConfigurationError([Problem(name, f"there is no such indicator; known are: {known}")])
        return self.indicators[name]
