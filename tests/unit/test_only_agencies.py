"""An installation that serves some of the declared agencies: topics, indicators and pages are theirs; nothing of the others is in the way."""

from __future__ import annotations

import pytest

from bus.errors import ConfigurationError
from bus.events.catalogue import Catalogue
from bus.ops.installation import Installation
from bus.settings import Settings
from consumers.dashboard.definitions import Definitions


@pytest.fixture(scope="module")
def installation() -> Installation:
    return Installation.load(Settings.from_env({"BUS_ONLY_AGENCIES": "mcd:dlh"}))


def test_only_their_topics_are_declared(installation: Installation) -> None:
    assert set(installation.agencies) == {"dlh", "mcd"}
    owners = {name.split(".")[0] for name in installation.catalogue.types}
    assert owners == {"dlh", "mcd"}
    names = {topic.name for topic in installation.topics()}
    assert {"indicators.dlh.pm10_mean", "indicators.mcd.persons_now"} <= names
    assert not [name for name in names if name.startswith(("indicators.mpp.", "events.mpp."))]


def test_what_is_compared_with_one_left_out_is_left_out(installation: Installation) -> None:
    everything = Installation.load(Settings())
    assert "mcd.siak_gap" in everything.indicators, "the test is about a composite of two agencies"
    assert not [name for name in installation.indicators if name.startswith("mcd.siak_")]
    assert {name for name in installation.indicators if name.startswith("dlh.")} == {
        name for name in everything.indicators if name.startswith("dlh.")
    }


def test_a_record_of_one_left_out_can_be_read_but_no_type_of_its_is_offered(installation: Installation) -> None:
    left = next(name for name in installation.catalogue.left_out if name.startswith("mpp."))
    assert left not in installation.catalogue
    with pytest.raises(KeyError, match="no event type"):
        installation.catalogue[left]
    schema = installation.catalogue.schema(left)
    assert installation.catalogue.by_id(schema.schema_id) is schema


def test_the_page_shows_what_is_computed(installation: Installation) -> None:
    settings = installation.settings
    definitions = Definitions(settings.schemas_roots(), settings.connector_roots(), settings.only_agencies)
    definitions.refresh()
    assert set(definitions.by_id) == set(installation.published)
    assert "mpp.abandoned_day" in definitions.hidden


def test_an_agency_that_nobody_declared_is_said() -> None:
    with pytest.raises(ConfigurationError, match=r"BUS_ONLY_AGENCIES.*'dlhh' has no event types; allowed: bapenda, "):
        Catalogue.load(Settings().schemas_roots(), ("dlhh",))
