"""A made-up regency: agencies' own systems fed with what could have happened there, with faults, and the truth about it (ADR 0025).

What an agency tells is made in its own folder (`connectors/<id>/simulation.py`), facts beside records, without the mapping: so that a number
can be held against what happened. Here is what is common to all: stories and their faults (pure), and the systems that they are put into.
"""
