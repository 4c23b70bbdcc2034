from bus.indicators.fold import FoldUnit
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import export_rows
from bus.indicators.partial import encode
from tests.unit.indicators.worlds import batch, event, indicator


def test_an_event_becomes_a_row():
    spec = indicator(measure={"kind": "mean", "of": "amount"})
    units = [FoldUnit.new(spec, spec.topic, partition, 2) for partition in (0, 1)]
    merge = MergeUnit.new(0)
    records = [value for unit in units for value in encode(unit.full_partial())]
    partial = units[0].apply(batch([event(0, amount=2), event(1, amount=3), event(2, amount=5, subject="s1")]))
    records += encode(partial)
    outputs = merge.apply(list(enumerate(records)))
    header, rows = export_rows(outputs)
    assert header == ["window_start", "window_end", "place", "value", "numerator", "denominator", "n", "revision", "status"]
    assert rows == [
        ["2021-01-30T00:00:00+07:00", "2021-01-31T00:00:00+07:00", "p", "2.0000000000", "2", "1", "1", "3", "provisional"],
        ["2021-01-31T00:00:00+07:00", "2021-02-01T00:00:00+07:00", "p", "5.0000000000", "5", "1", "1", "1", "provisional"],
    ]
    assert MergeUnit.load(0, merge.offset, merge.dump()).dump() == merge.dump()
    assert FoldUnit.load(spec, spec.topic, 0, 2, units[0].offset, units[0].dump()).dump() == units[0].dump()
