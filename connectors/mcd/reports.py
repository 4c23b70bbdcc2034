"""The monthly report of an RT: that it was made, and its score for each parameter. Pure. Parameters and weights are in parameter.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bus.errors import SourceChanged
from bus.events.envelope import Event
from bus.ingest.forms import Moment, Text, Whole
from bus.ingest.record import parse, value_error
from connectors.mcd.places import Number, month_begin, rt_code

SUBMITTED = "mcd.rt_report.submitted.v1"
REPORTED = "mcd.parameter.reported.v1"

_TABLE = tomllib.loads(Path(__file__).with_name("parameter.toml").read_text(encoding="utf-8"))
_PARAMETERS: Mapping[str, Mapping[str, Any]] = _TABLE["parameters"]
_SCORE: TypeAdapter[int] = TypeAdapter(Whole)


class Report(BaseModel):
    """What the form sends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    waktu: Moment
    bulan: Text
    kode_desa: Text
    rw: Number
    rt: Number
    jawaban: dict[str, object]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The report, then a score for each parameter. Raises `SourceChanged` for a parameter too many or missing, `RecordError` for a score."""
    row = parse(Report, record)
    month, place = month_begin(row.bulan), rt_code(row.kode_desa, row.rw, row.rt)
    if row.waktu < month:
        raise value_error("waktu", row.waktu.isoformat(), rule="out_of_range", allowed=f">= {row.bulan}-01")
    scores = dict(_scores(row.jawaban))
    subject = f"{place}/{row.bulan}"
    yield Event(SUBMITTED, subject, month, {"kode_wilayah": place, "submitted_at": row.waktu})
    for code, score in scores.items():
        known = _PARAMETERS[code]
        data = {
            "kode_wilayah": place, "parameter": code, "group": known["group"], "score": score, "highest": int(known["highest"]),
            "weight": Decimal(known["weight"]),
        }  # fmt: skip
        yield Event(REPORTED, f"{subject}/{code}", month, data)


def _scores(answers: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    allowed = ", ".join(_PARAMETERS)
    for rule, codes in (("unknown_field", answers.keys() - _PARAMETERS.keys()), ("missing_field", _PARAMETERS.keys() - answers.keys())):
        if codes:
            raise SourceChanged(f"{rule} in jawaban", field="jawaban", rule=rule, received=f"{len(codes)} parameter", allowed=allowed)
    for code, known in _PARAMETERS.items():
        try:
            score = _SCORE.validate_python(answers[code])
        except ValidationError:
            raise value_error(f"jawaban.{code}", "", rule="invalid_value", allowed="bilangan bulat/a whole number") from None
        if not 0 <= score <= int(known["highest"]):
            raise value_error(f"jawaban.{code}", str(score), rule="out_of_range", allowed=f"0..{known['highest']}")
        yield code, score
