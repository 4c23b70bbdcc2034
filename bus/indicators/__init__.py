"""The exact engine: indicators as data, fold and merge as pure functions of the log (ADR 0014, ADR 0004).

Nothing here knows Kafka, Faust or a clock, so the same functions run in the worker, in `bus verify` and in the tests.
"""
