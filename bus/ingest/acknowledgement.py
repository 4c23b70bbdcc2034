"""What an agency is told of a file that it delivered: what was accepted, what was refused and why. Pure; `folder` writes it.

A receipt is part of the checkpoint, so that the acknowledgement can be written after a crash as before it, word for word. Nothing in it is
a value of a record, but for those that a refusal may show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from bus.events.envelope import Op
from bus.ingest.claims import Claim
from bus.ingest.delivery import Derived
from bus.ingest.files import RECEIPT_SUFFIX
from bus.ingest.messages import describe
from bus.ingest.source import Reason

_WIB = timezone(timedelta(hours=7), "WIB")
_MONTHS = ["Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November", "Desember"]
#: Refusals that one acknowledgement lists; of more it says how many there are.
MOST_REFUSALS = 10_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused record (or file), as people read it."""

    message_id: str
    message_en: str

    @classmethod
    def of(cls, reason: Reason, *, file: str, line: int) -> Refusal:
        return cls(*describe(reason, file=file, line=line))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery, in numbers of records. `outcome`: delivered, duplicate, refused (the whole file)."""

    outcome: str
    at: str
    new: int = 0
    corrected: int = 0
    unchanged: int = 0
    cancelled: int = 0
    refused: int = 0

    @property
    def accepted(self) -> int:
        return self.new + self.corrected + self.unchanged

    def plain(self) -> dict[str, object]:
        """Its JSON."""
        numbers = {name: getattr(self, name) for name in ("new", "corrected", "unchanged", "cancelled", "refused")}
        return {"outcome": self.outcome, "at": self.at, **numbers}

    @classmethod
    def of(cls, value: object) -> Receipt | None:
        """What `plain` gave; None for anything else."""
        if not isinstance(value, Mapping):
            return None
        numbers = {name: value.get(name) for name in ("new", "corrected", "unchanged", "cancelled", "refused")}
        if not all(isinstance(number, int) for number in numbers.values()):
            return None
        return cls(str(value.get("outcome")), str(value.get("at")), **{name: int(str(number)) for name, number in numbers.items()})


@dataclass(slots=True)
class Tally:
    """Counts a delivery's records, whether they are published now or were before a crash."""

    new: int = 0
    corrected: int = 0
    unchanged: int = 0
    cancelled: int = 0
    refused: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    def add(self, derived: Derived, *, gone: bool, file: str, line: int) -> None:
        """One record; or with `gone` one that the table no longer has."""
        if derived.reason is not None:
            self.refuse(derived.reason, file=file, line=line)
            return
        operations = {encoded.envelope.op for encoded in derived.events}
        if gone:
            self.cancelled += bool(operations)
        elif not operations:
            self.unchanged += 1
        elif operations == {Op.CREATE}:
            self.new += 1
        else:
            self.corrected += 1

    def refuse(self, reason: Reason, *, file: str, line: int) -> None:
        """One refused record or file; `line` is where to look."""
        self.refused += 1
        if len(self.refusals) < MOST_REFUSALS:
            self.refusals.append(Refusal.of(reason, file=file, line=line))

    def receipt(self, outcome: str, at: str) -> Receipt:
        if outcome == "refused":  # what was read before it was refused is not counted: the whole file has to come again
            return Receipt(outcome, at, refused=1)
        return Receipt(outcome, at, self.new, self.corrected, self.unchanged, self.cancelled, self.refused)


def receipt_name(claim: Claim) -> str:
    """What the acknowledgement of a delivery is called, for ever: by its number, then its file, long numbers in its name left out."""
    name = claim.name.replace(" digits>", " angka)").replace("<", "(").replace("/", "_")
    while len(name.encode()) > 200:
        name = name[:-1]
    return f"{claim.delivery:07d}_{name}{RECEIPT_SUFFIX}"


def receipt_text(claim: Claim, receipt: Receipt, refusals: Sequence[Refusal]) -> str:
    """The acknowledgement: Indonesian, English below or beside it."""
    outcome_id, outcome_en = _outcome(claim, receipt)
    lines = [
        "BUKTI PENERIMAAN BERKAS",
        "Acknowledgement of a delivered file",
        "",
        f"Berkas / file: {claim.name}",
        f"SHA-256: {claim.sha256}" if ":" not in claim.sha256 else "SHA-256: -",
        f"Nomor kiriman / delivery number: {claim.delivery} ({claim.source})",
        f"Selesai / done: {_wib(receipt.at)}",
        "",
        f"Hasil: {outcome_id}",
        f"Outcome: {outcome_en}",
    ]
    if receipt.outcome == "delivered":
        lines += [
            "",
            f"Baris diterima / records accepted: {receipt.accepted}",
            f"  baru / new: {receipt.new}",
            f"  diperbaiki / corrected: {receipt.corrected}",
            f"  tidak berubah / unchanged: {receipt.unchanged}",
            f"Dibatalkan, tidak ada lagi di berkas / cancelled, no longer in the file: {receipt.cancelled}",
            f"Baris ditolak / records refused: {receipt.refused}",
        ]
    if refusals:
        lines += ["", "Yang ditolak (mohon diperbaiki dan dikirim lagi) / what was refused (please correct it and deliver it again):"]
        for number, refusal in enumerate(refusals, 1):
            lines += [f"{number}. {refusal.message_id}", f"   {refusal.message_en}"]
        if receipt.refused > len(refusals):
            more = receipt.refused - len(refusals)
            lines.append(f"… dan {more} lagi / and {more} more")
    return "\n".join(lines) + "\n"


def _outcome(claim: Claim, receipt: Receipt) -> tuple[str, str]:
    if receipt.outcome == "duplicate":
        number = claim.duplicate_of
        return f"sama dengan kiriman {number}; tidak ada yang perlu diubah", f"equal to delivery {number}; nothing had to be changed"
    if receipt.outcome == "refused":
        return "DITOLAK; mohon kirim lagi seluruh berkas", "REFUSED; please deliver the whole file again"
    if receipt.refused:
        return "diterima sebagian", "accepted in part"
    return "diterima seluruhnya", "accepted as a whole"


def _wib(at: str) -> str:
    moment = datetime.fromisoformat(at).astimezone(_WIB)
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year} pukul {moment:%H.%M.%S} WIB"
