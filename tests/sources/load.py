"""A load that an agency's system writes while connector and server are killed: what it wrote is known exactly."""

from __future__ import annotations

import json
import threading
import time

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from bus.ingest.kinds.sql_ddl import ddl
from tests.sources.agency import Agency

_BATCH = 50
#: Every so many: a record that is refused, one that is corrected later, one that is cancelled later.
_BAD, _CORRECTED, _CANCELLED = 97, 10, 7


class Load:
    """Records 0 … n-1, in batches, each one transaction; `pieces` of them, each begun when `allow` is called once more."""

    def __init__(self, agency: Agency, mode: str, records: int, pieces: int) -> None:
        self.agency, self.mode, self.records, self.pieces = agency, mode, records, pieces
        self._allowed = threading.Semaphore(1)
        self.failed: BaseException | None = None

    def prepare(self) -> None:
        """The tables, empty."""
        if self.mode == "outbox":
            self.agency.script(ddl(self.agency.dialect))
            self.agency.script("CREATE TABLE done (batch integer PRIMARY KEY)")
            return
        kind = {"postgresql": "timestamptz", "mariadb": "datetime(6)", "sqlite": "text"}[self.agency.dialect]
        self.agency.script(f"CREATE TABLE samples (no integer PRIMARY KEY, value varchar(20), changed {kind})")
        self.agency.script("CREATE TABLE done (batch integer PRIMARY KEY)")
        if self.mode == "cdc":
            self.agency.script("CREATE PUBLICATION bus FOR TABLE samples")

    def allow(self) -> None:
        self._allowed.release()

    def run(self) -> None:
        """Write it all; each batch is tried until it is known to be committed."""
        batches = range(0, self.records, _BATCH)
        for place, first in enumerate(batches):
            if place * self.pieces // len(batches) != (place - 1) * self.pieces // len(batches):
                self._allowed.acquire()
            while not self._written(first):
                time.sleep(0.05)

    def _written(self, first: int) -> bool:
        try:
            with self.agency.engine.begin() as connection:
                if connection.execute(sa.text(f"SELECT 1 FROM done WHERE batch = {first}")).fetchone():
                    return True
                for number in range(first, min(first + _BATCH, self.records)):
                    self._say(connection, "CREATE", number, "buruk" if number % _BAD == 0 else "a")
                for number in range(first - _BATCH, first) if first else ():
                    if number % _BAD and number % _CORRECTED == 0:
                        self._say(connection, "CORRECT", number, "b")
                    elif number % _BAD and number % _CANCELLED == 0 and self.mode != "query":
                        self._say(connection, "CANCEL", number, "a")
                connection.execute(sa.text(f"INSERT INTO done VALUES ({first})"))
        except SQLAlchemyError:
            return False
        return True

    def _say(self, connection: sa.Connection, op: str, number: int, value: str) -> None:
        if self.mode == "outbox":
            payload = json.dumps({"no": number} | ({} if op == "CANCEL" else {"value": value}))
            connection.execute(sa.text("INSERT INTO bus_outbox (op, payload) VALUES (:op, :payload)"), {"op": op, "payload": payload})
            return
        now = {"postgresql": "clock_timestamp()", "mariadb": "sysdate(6)", "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')"}[
            self.agency.dialect
        ]
        statement = {
            "CREATE": f"INSERT INTO samples VALUES (:no, :value, {now})",
            "CORRECT": f"UPDATE samples SET value = :value, changed = {now} WHERE no = :no",
            "CANCEL": "DELETE FROM samples WHERE no = :no AND :value = :value",
        }[op]
        connection.execute(sa.text(statement), {"no": number, "value": value})

    def truth(self) -> tuple[dict[str, list[tuple[str, str]]], int]:
        """Subject -> what has to be told of it, in order; and how many records are refused."""
        told: dict[str, list[tuple[str, str]]] = {}
        final = (self.records - 1) // _BATCH * _BATCH
        bad = 0
        for number in range(self.records):
            if number % _BAD == 0:
                bad += 1
                continue
            told[str(number)] = [("CREATE", "a")]
            if number < final and number % _CORRECTED == 0:
                told[str(number)].append(("CORRECT", "b"))
            elif number < final and number % _CANCELLED == 0 and self.mode != "query":
                told[str(number)].append(("CANCEL", "a"))
        return told, bad
