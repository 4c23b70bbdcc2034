"""Which records say something of a subject: it is no more only when the last of them is gone, or says it no longer. Pure.

A subject may move from one key of a source to another, and several records may tell of one. While a delivery is read line by line, the
records not met yet count as they were known, so at every moment what stands is what some record says: no order of lines can lose it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from bus.events.envelope import Op
from bus.ingest.rows import Key, Row

#: (type, subject) of a fact.
Subject = tuple[str, str]


def subjects_of(contents: Iterable[str]) -> dict[Subject, str]:
    """What events in canonical JSON say of each subject; of several of one subject the last."""
    found: dict[Subject, str] = {}
    for content in contents:
        kind, subject = json.loads(content)[:2]
        found[kind, subject] = content
    return found


class Subjects:
    """The records of a source by the subjects that they tell of, as they are after the records read so far."""

    def __init__(self, row: Callable[[Key], Row | None], known: Callable[[], Mapping[Key, Row]]) -> None:
        """`row` is what a key stands for now; `known` is all that was known when it is asked for first, and asked once."""
        self._row = row
        self._known = known
        self._keys: dict[Subject, set[Key]] | None = None
        #: Whose word stands, of the subjects that were told of in this delivery.
        self._said: dict[Subject, Key] = {}
        #: Keys that are about to go.
        self.leaving: set[Key] = set()

    def said(self, key: Key, subject: Subject) -> None:
        """What the key's record tells of the subject was published: its word stands now."""
        self._said[subject] = key

    def changed(self, key: Key, before: Row | None, after: Row | None) -> None:
        """The key stands for something else than before."""
        if self._keys is None:
            return
        for subject in subjects_of(before.events if before else ()):
            self._keys.get(subject, set()).discard(key)
        for subject in subjects_of(after.events if after else ()):
            self._keys.setdefault(subject, set()).add(key)

    def without(self, key: Key, subject: Subject, content: str) -> tuple[Op, str, Key] | None:
        """What has to be said, and for which key, once this one, which said `content`, tells of the subject no more: CANCEL, or what another
        record says of it.

        None when what stands is another's word already, or will be taken back with the last key that leaves.
        """
        others = self._index().get(subject, set()) - {key}
        staying = others - self.leaving
        if not staying:
            return None if others else (Op.CANCEL, content, key)
        if self._said.get(subject) in staying:
            return None
        words = {other: subjects_of(row.events)[subject] for other in staying if (row := self._row(other)) is not None}
        if set(words.values()) == {content}:
            return None
        heir = max(words, key=lambda other: (self._delivery(other), other))
        return Op.CORRECT, words[heir], heir

    def _delivery(self, key: Key) -> int:
        row = self._row(key)
        return 0 if row is None else row.delivery

    def _index(self) -> dict[Subject, set[Key]]:
        if self._keys is None:
            self._keys = {}
            for key, row in self._known().items():
                for subject in subjects_of(row.events):
                    self._keys.setdefault(subject, set()).add(key)
        return self._keys
