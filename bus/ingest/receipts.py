"""Acknowledgements on their way to where an agency finds them: `bukti/` beside its files."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from bus.ingest.acknowledgement import MOST_REFUSALS, Receipt, Refusal, Tally, receipt_name, receipt_text
from bus.ingest.checkpoint import Checkpoint
from bus.ingest.claims import Claim
from bus.ingest.files import FolderAway
from bus.ingest.folder import Folder, ReceiptsRefused
from bus.ingest.quarantine import Place, Quarantine
from bus.kafka.ports import LogReader

_log = structlog.get_logger(__name__)


class Receipts:
    """Writes one acknowledgement for each finished delivery of a source; nothing when `wanted` is false.

    While the folder is away they are owed: `settle` writes them. Deliver nothing before that, for a process that begins anew only knows of
    the newest.
    """

    def __init__(self, source: str, folder: Folder, *, wanted: bool) -> None:
        self._source = source
        self._folder = folder
        self.wanted = wanted
        self._said = False
        self._owed: list[tuple[Claim, Receipt, Sequence[Refusal]]] = []
        self._unsure: tuple[Claim, Receipt] | None = None

    async def write(self, claim: Claim, receipt: Receipt, tally: Tally) -> None:
        """The acknowledgement of a delivery just finished."""
        self._owed.append((claim, receipt, tally.refusals))
        try:
            await self._write_owed()
        except FolderAway as error:
            _log.warning("an acknowledgement waits for the folder", source=self._source, reason=str(error))

    def begin(self, claim: Claim | None, newest: Checkpoint) -> None:
        """The newest finished delivery: whoever finished it may have come no further. Call it when a process begins, then `settle`."""
        self._unsure = (claim, newest.receipt) if self.wanted and claim is not None and newest.receipt is not None else None

    async def settle(self, reader: LogReader, agency: str) -> None:
        """Write what is owed. Raises `FolderAway`."""
        if self._unsure is not None:
            claim, receipt = self._unsure
            if not await self._folder.has_receipt(receipt_name(claim)):
                await self._put(claim, receipt, await self._refusals(claim, reader, agency))
            self._unsure = None
        await self._write_owed()

    async def _write_owed(self) -> None:
        while self._owed:
            await self._put(*self._owed[0])
            del self._owed[0]

    async def _refusals(self, claim: Claim, reader: LogReader, agency: str) -> list[Refusal]:
        quarantine = Quarantine(reader, agency)
        await quarantine.refresh()
        return [
            Refusal(entry.reason.get("message", ""), entry.reason.get("message_en", ""))
            for entry in quarantine.entries(state=None)
            if isinstance(entry.place, Place) and (entry.place.source, entry.place.delivery) == (claim.source, claim.delivery)
        ][:MOST_REFUSALS]

    async def _put(self, claim: Claim, receipt: Receipt, refusals: Sequence[Refusal]) -> None:
        try:
            await self._folder.put_receipt(receipt_name(claim), receipt_text(claim, receipt, refusals).encode())
        except ReceiptsRefused as error:
            if not self._said:
                _log.warning("acknowledgements cannot be written; files are read all the same", source=self._source, reason=str(error))
            self._said = True
