"""`bus feedback`: what people wrote about the numbers, and the public answers to it."""

from __future__ import annotations

from typing import Annotated

import typer

from bus.cli.context import AsJson, Context, Overlay, context, err, impatient, out, print_json, require_broker, run_async
from bus.clock import LOCAL_ZONE, SystemClock
from bus.errors import ConfigurationError, Problem
from bus.ingest.kinds.webhook_keys import Keys
from bus.ingest.kinds.webhook_spec import WebhookSpec
from bus.ingest.manifest import Agency, FeedbackSpec
from bus.ingest.privacy.keys import agency_keys
from bus.listening import url_here
from bus.ops.audit import Audit
from bus.ops.feedback import OUTCOMES, Counter, Letter, answer, letters, opener
from bus.ops.installation import Installation
from bus.ops.wiring import Log, connect

feedback = typer.Typer(help="What people wrote about the numbers, and the public answers to it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(feedback, name="feedback")


@feedback.command("list")
def list_letters(
    agency: Annotated[str | None, typer.Argument(help="Only what is about numbers of this agency.")] = None,
    answered: Annotated[bool, typer.Option("--all", help="Also what is answered.")] = False,
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """What was written, the oldest first. The texts are sealed: they show on the machine that runs the connectors, which has their keys.

    Example: bus feedback list dinkes
    """
    here = context(overlay)
    require_broker(here.settings)
    found = [
        each
        for each in run_async(_letters(here)).values()
        if (answered or each.answer is None) and (agency is None or each.agency.lower() == agency.lower())
    ]
    if as_json:
        print_json([_json(each) for each in found])
        return
    for each in found:
        out.print(
            f"[bold]{each.number}[/bold] {each.received_at.astimezone(LOCAL_ZONE):%Y-%m-%d %H:%M} {each.agency} {each.about} {each.kind}"
        )
        out.print(_shown(each.text), soft_wrap=True, markup=False)
        if each.answer is not None:
            out.print(f"  {each.answer.outcome}: {each.answer.text}", soft_wrap=True, markup=False)
    if not found:
        err.print("nothing waits for an answer" if not answered else "nobody has written yet")


@feedback.command("answer")
def answer_letter(
    number: Annotated[str, typer.Argument(help="The receipt's number, as `list` shows it.")],
    text: Annotated[str, typer.Option("--text", help="The answer; everybody can read it.")],
    outcome: Annotated[str, typer.Option("--outcome", help=f"One of {', '.join(OUTCOMES)}.")] = "DIJELASKAN",
    overlay: Overlay = None,
) -> None:
    """Answer a letter, or mend its answer. The connectors have to run; said twice it is one answer.

    Example: bus feedback answer M-BRTK-LMNP-QXZW --outcome DIPERBAIKI --text "Benar, nilai Januari sudah dibetulkan."
    """
    here = context(overlay)
    require_broker(here.settings)
    new = run_async(_answer(here, number.strip().upper(), outcome, text))
    out.print(f"{number}: answered; it appears on the portal with the next release" if new else f"{number}: has this answer already")


async def _letters(here: Context) -> dict[str, Letter]:
    installation = Installation.load(here.settings)
    agency, spec = _office(installation)
    async with connect(impatient(here.settings)) as log:
        return await _read(installation, agency, spec, log)


async def _read(installation: Installation, agency: Agency, spec: FeedbackSpec, log: Log) -> dict[str, Letter]:
    keys = agency_keys(agency, installation.settings, SystemClock())
    return dict(await letters(log.reader, installation.codec, spec, opener(keys)))


async def _answer(here: Context, number: str, outcome: str, text: str) -> bool:
    installation = Installation.load(here.settings)
    agency, spec = _office(installation)
    counter = _counter(here, agency, spec)
    async with connect(impatient(here.settings)) as log:
        found = (await _read(installation, agency, spec, log)).get(number)
        if found is None:
            raise ConfigurationError([Problem(number, "is no letter's number; `bus feedback list --all` shows those there are")])
        audit = Audit(log.publisher, log.reader, SystemClock())
        return await answer(found, outcome, text, counter=counter, audit=audit, clock=SystemClock())


def _office(installation: Installation) -> tuple[Agency, FeedbackSpec]:
    """The agency that takes letters."""
    for agency in installation.agencies.values():
        if agency.manifest.feedback is not None:
            return agency, agency.manifest.feedback
    raise ConfigurationError([Problem("bus feedback", "no agency here takes feedback: none has [feedback] in its agency.toml")])


def _counter(here: Context, agency: Agency, spec: FeedbackSpec) -> Counter:
    source = agency.manifest.sources[spec.answers]
    assert isinstance(source, WebhookSpec)
    where = f"BUS_{agency.id}__{source.setting}".upper()
    value = here.settings.agencies.get(agency.id, {}).get(source.setting)
    if value is None:
        raise ConfigurationError([Problem(where, "is not set: answers are posted to the connectors with it")])
    try:
        key = Keys(value.get_secret_value(), agency.source_name(spec.answers)).valid[0].decode()
    except ValueError as error:
        raise ConfigurationError([Problem(where, str(error))]) from None
    ingest = here.settings.ingest
    return Counter(f"{url_here(ingest.ingress_host, ingest.ingress_port)}/v1/events/{agency.id}/{spec.answers}", key)


def _shown(text: str | None) -> str:
    return "  (sealed: its key is not on this machine, or was destroyed)" if text is None else "  " + text.replace("\n", "\n  ")


def _json(letter: Letter) -> dict[str, object]:
    answered = letter.answer
    return {
        "number": letter.number, "received_at": letter.received_at.isoformat(), "about": letter.about, "agency": letter.agency,
        "kind": letter.kind, "text": letter.text,
        "answer": None if answered is None else {"outcome": answered.outcome, "text": answered.text, "at": answered.at.isoformat()},
    }  # fmt: skip
