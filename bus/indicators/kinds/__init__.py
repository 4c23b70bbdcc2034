"""The kinds of measures, one module a family: what a cell remembers, how parts of it are put together, and what readers see of it.

`bus.indicators.accumulators` is the door to them.
"""
