"""All that is declared, loaded once and checked together: schemas, indicators, agencies, consumers, and the topics that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bus.disclosure.tables import public
from bus.errors import ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.compose import AnyIndicator
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.loader import load_indicators
from bus.indicators.reporters import declared_reporters
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
    indicators: Mapping[str, AnyIndicator]
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
        catalogue = attempt(lambda: Catalogue.load(roots, settings.only_agencies))
        agencies = attempt(lambda: discover(settings.connector_roots(), settings.only_agencies))
        reporters = declared_reporters(settings.connector_roots())
        indicators = attempt(lambda: load_indicators(roots, catalogue, reporters=reporters)) if catalogue is not None else None
        consumers = attempt(lambda: load_consumers(settings.consumer_roots()))
        if catalogue is None or indicators is None or agencies is None or consumers is None:
            raise ConfigurationError(problems)
        return cls(settings, catalogue, Codec(catalogue), indicators, agencies, consumers)

    def topics(self) -> tuple[Topic, ...]:
        """Every topic that has to be there."""
        lists = [each.id for each in self.indicators.values() if each.kind == "reconcile"]
        return declared_topics(self.settings, self.catalogue.types, self.published, self.agencies, lists, self.public)

    @property
    def published(self) -> Mapping[str, AnyIndicator]:
        """The indicators whose rows readers get: all but registers, which are about single subjects."""
        return {name: each for name, each in self.indicators.items() if each.kind != "register"}

    @property
    def public(self) -> Mapping[str, AnyIndicator]:
        """The indicators that the public may see something of."""
        return {name: each for name, each in self.published.items() if public(each)}

    @property
    def leaves(self) -> Mapping[str, Indicator]:
        """The indicators that are made of events, not of other indicators."""
        return {name: each for name, each in self.indicators.items() if isinstance(each, Indicator)}

    def leaves_of(self, indicator: AnyIndicator) -> list[Indicator]:
        """The leaf indicators that one is made of; a leaf is made of itself."""
        return [indicator] if isinstance(indicator, Indicator) else [self.leaves[name] for name in indicator.leaves]

    def fold_duties(self) -> tuple[Duty, ...]:
        """The fold units that the indicators ask for, with the partitions they read."""
        count = self.settings.kafka.event_partitions
        return tuple(
            Duty(FoldUnit.new(indicator, indicator.topic, number, count).unit_id, TopicPartition(indicator.topic, number))
            for indicator in self.leaves.values()
            for number in range(count)
        )

    def indicator(self, name: str) -> AnyIndicator:
        """The published indicator of that id. Raises `ConfigurationError` with the ids there are."""
        if name in self.published:
            return self.indicators[name]
        if name in self.indicators:
            users = ", ".join(each.id for each in self.published.values() if name in each.parts) or "no indicator"
            raise ConfigurationError([Problem(name, f"is a register: of single subjects nothing is published; it is compared by {users}")])
        known = ", ".join(self.published) or "none"
        raise ConfigurationError([Problem(name, f"there is no such indicator; known are: {known}")])
