"""`bus ppid`: the walidata gate by hand, and pushing to a CKAN portal. Works on the store's database, whichever processes run."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from bus.cli.context import AsJson, Overlay, context, out, print_json
from bus.clock import SystemClock
from bus.errors import ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.settings import Settings
from consumers.ppid.addresses import Addresses
from consumers.ppid.ckan import Describer
from consumers.ppid.gate import Judgement
from consumers.ppid.library import Library
from consumers.ppid.listing import change_lines
from consumers.ppid.portal import database_of
from consumers.ppid.push import Portal, push

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="The dataset's id, as `bus ppid list` shows it.")]
Note = Annotated[str, typer.Option("--note", help="Why; everybody can read it in the change log.")]
By = Annotated[
    str, typer.Option("--by", metavar="OFFICE", help="Which office decides; the walidata of the settings unless told otherwise.")
]


def register(group: typer.Typer) -> None:
    """Add the commands to their group."""
    group.info.help = "The open-data store of the PPID: check, publish, return datasets, and push them to a CKAN portal."
    group.command("list")(list_datasets)
    group.command("check")(check)
    group.command("publish")(publish)
    group.command("return")(give_back)
    group.command("log")(change_log)
    group.command("push")(push_all)


def list_datasets(overlay: Overlay = None, as_json: AsJson = False) -> None:
    """Every dataset of the store, and where it stands: draft, checked, published, returned."""
    library = _library(overlay)
    standings = library.gate.standings()
    vintages = {card.id: card.vintage for card in library.cards()}
    if as_json:
        rows = [{"dataset": id_, "state": each.state, "note": each.note, "vintage": vintages.get(id_)} for id_, each in standings.items()]
        print_json(rows)
        return
    table = Table("dataset", "state", "newest vintage", "note", box=None, pad_edge=False)
    for id_, each in standings.items():
        table.add_row(id_, each.state, vintages.get(id_, "-"), each.note)
    out.print(table)


def check(dataset: Dataset, overlay: Overlay = None, as_json: AsJson = False) -> None:
    """What stands against publishing a dataset; exit 1 when something does. Changes nothing."""
    judgement = _library(overlay).judgement(dataset)
    if as_json:
        print_json({"dataset": dataset, "findings": judgement.findings})
    else:
        _say_findings(judgement)
    if judgement.findings:
        raise typer.Exit(1)


def publish(dataset: Dataset, note: Note = "", by: By = "", overlay: Overlay = None) -> None:
    """Publish a dataset as it is declared now, also one that a person had returned. What a check stands against is not published.

    Example: bus ppid publish dlh.pm10_max --note "sesuai Forum Satu Data"
    """
    library = _library(overlay)
    judgement = library.judgement(dataset)
    if judgement.findings:
        _say_findings(judgement)
        raise typer.Exit(1)
    library.gate.publish(judgement, who=by or library.settings.ppid.walidata, note=note, now_us=library.now_us)
    out.print(f"{dataset} is published.")


def give_back(dataset: Dataset, note: Note, by: By = "", overlay: Overlay = None) -> None:
    """Return a dataset to its Produsen Data with a note. It is taken down until a person publishes it again.

    Example: bus ppid return dlh.pm10_max --note "definisi belum memuat satuan"
    """
    library = _library(overlay)
    library.gate.give_back(dataset, who=by or library.settings.ppid.walidata, note=note, now_us=library.now_us)
    out.print(f"{dataset} is returned, and taken down.")


def change_log(
    dataset: Annotated[str | None, typer.Argument(metavar="[DATASET]")] = None, overlay: Overlay = None, as_json: AsJson = False
) -> None:
    """The change log, the newest line first; also lines of datasets that the public does not see."""
    lines = change_lines(_library(overlay).gate.changes(indicator=dataset))
    if as_json:
        print_json(lines)
        return
    table = Table("when", "dataset", "from", "to", "by", "note", box=None, pad_edge=False)
    for line in lines:
        table.add_row(*(str(line[name] or "-") for name in ("at", "dataset", "from", "to", "by", "note")))
    out.print(table)


def push_all(overlay: Overlay = None, as_json: AsJson = False) -> None:
    """Make the CKAN portal of BUS_PPID__CKAN_URL say what is published here; may be repeated. A portal that harvests needs none of it."""
    library = _library(overlay)
    settings = library.settings.ppid
    if not settings.base_url:
        raise ConfigurationError(
            [Problem("BUS_PPID__BASE_URL", "is empty: the other portal links to our files and has to know our address")]
        )
    cards = library.cards()
    shown = {card.id for card in cards}
    gone = [
        id_.replace(".", "-") for id_, each in library.gate.standings().items() if id_ not in shown and each.first_published_us is not None
    ]
    portal = Portal(settings.ckan_url, settings.ckan_key.get_secret_value())
    done = push(portal, Describer(settings, Addresses(settings.base_url.rstrip("/"))), cards, gone)
    if as_json:
        print_json({"created": done.created, "updated": done.updated, "unchanged": done.unchanged, "deleted": done.deleted})
    else:
        out.print(f"{len(done.created)} created, {len(done.updated)} updated, {len(done.unchanged)} unchanged, {len(done.deleted)} deleted")


def _library(overlay: Overlay) -> Library:
    settings: Settings = context(overlay).settings
    library = Library(settings, database_of(settings), SystemClock(), Catalogue.load(settings.schemas_roots(), settings.only_agencies))
    library.refresh()
    return library


def _say_findings(judgement: Judgement) -> None:
    for finding in judgement.findings or ["lolos semua pemeriksaan"]:
        out.print(f"{judgement.metadata.id}: {finding}", soft_wrap=True)
