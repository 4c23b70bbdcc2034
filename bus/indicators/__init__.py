"""The exact engine: indicators as data, fold and merge as pure functions of the log (DESIGN §4, §6).

Nothing here knows Kafka, Faust or a clock, so the same functions run in the worker, in `bus verify` and in the tests.
"""
