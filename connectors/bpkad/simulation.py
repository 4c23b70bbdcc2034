"""The finance agency's SIPD-RI of a made-up regency: budget and cash plan of each sub kegiatan, payment orders every working day, and the
published budget by account.

The sizes are assumed: 57 SKPD (the 22 kecamatan among them), some thousand sub kegiatan, 150 orders a day. Codes have the form of
Permendagri 90/2019, but stand for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from bus.events.envelope import Event, Op
from bus.simulation.regency import Regency, at
from bus.simulation.story import Fact, Story, Telling
from bus.simulation.systems.form import FileForm

#: How the agency's files look: one for each organisation.
FILES: Mapping[str, FileForm] = {
    "apbd": FileForm("apbd-{kode_organisasi}-{at:%Y%m%d}.csv", {"kode": "No. Rekening", "uraian": "Uraian", "nilai": "Jumlah"},
                     titles={"daerah": "Daerah", "tahun": "Tahun", "kode_organisasi": "Kode Organisasi"}),
}  # fmt: skip
#: Bidang urusan of the SKPD; the last is that of the kecamatan.
_FIELDS = ("1.02", "1.01", "1.03", "1.04", "1.05", "1.06", *(f"2.{each:02d}" for each in range(7, 25)), "3.25", "3.27", "3.30", "3.31",
           "4.01", "5.01", "5.02", "5.03", "5.05", "6.01", "8.01", *["7.01"] * 22)  # fmt: skip
_ORDERS_A_DAY = 150
#: Kinds of payment orders: of those that pay somebody directly (LS) what for.
_KINDS = (("LS", "BARANG DAN JASA"), ("LS", "GAJI"), ("LS", "PIHAK KETIGA"), ("LS", "LAINNYA"), ("GU", None), ("TU", None), ("UP", None))
#: Lines of a published budget: code, words, what heading that is, and its tenths of the spending.
_LINES = (
    ("00 . 00 . 4", "PENDAPATAN DAERAH", "PENDAPATAN", 2), ("00.00.5.", "BELANJA", "BELANJA", 10),
    ("00.00.5.1.", "Belanja  Tidak Langsung", "BELANJA_TIDAK_LANGSUNG", 6), ("01.26.5.2", "BELANJA LANGSUNG", "BELANJA_LANGSUNG", 4),
    ("01.26.5.2.1", "Belanja Pegawai", None, 1), ("01.26.5.2.2", "Belanja Barang dan Jasa", None, None), ("", "JUMLAH BELANJA", None, 10),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A sub kegiatan of an SKPD in a year."""

    year: int
    skpd: str
    sub_activity: str
    budget: Decimal

    @property
    def codes(self) -> dict[str, object]:
        """As the tables have them: program and kegiatan are how the code of the sub kegiatan begins."""
        sub = self.sub_activity
        return {"tahun": self.year, "kode_skpd": self.skpd, "kode_program": sub[:7], "kode_giat": sub[:12], "kode_sub_giat": sub}

    @property
    def facts(self) -> dict[str, object]:
        sub = self.sub_activity
        return {"fiscal_year": f"{self.year}", "skpd": self.skpd, "program": sub[:7], "activity": sub[:12], "sub_activity": sub}

    @property
    def subject(self) -> str:
        return f"{self.year}/{self.skpd}/{self.sub_activity}"


def stories(regency: Regency) -> Iterator[Story]:
    """All that the agency's systems tell in the period."""
    number = 0
    for year in sorted({day.year for day in regency.dates}):
        days = [day for day in regency.dates if day.year == year]
        skpd = _skpd()[: regency.at_least(len(_FIELDS), 2)]
        lines = [line for code in skpd for line in _lines(regency, year, code)]
        for line in lines:
            yield _budget(regency, line, days[0])
            for month in sorted({day.month for day in days}):
                yield _plan(regency, line, month, max(days[0], date(year, month, 1)))
        for code in skpd:
            yield from _published(regency, year, code, days[min(1, len(days) - 1)])
        for day in (day for day in days if day.weekday() < 5):
            for _ in range(max(1, regency.some(_ORDERS_A_DAY))):
                number += 1
                yield _order(regency, regency.chance.choice(lines), day, number)


def _skpd() -> list[str]:
    """Codes of all of them; those of one bidang are counted."""
    found: dict[str, int] = {}
    codes = []
    for field in _FIELDS:
        found[field] = found.get(field, 0) + 1
        codes.append(f"{field}.0.00.0.00.{found[field]:02d}.0000")
    return codes


def _lines(regency: Regency, year: int, skpd: str) -> Iterator[Line]:
    field, chance = skpd[:4], regency.chance
    # the first program of everybody is the office's own
    for program in range(1, 1 + (chance.randint(3, 6) if regency.scale > 0.1 else 2)):
        for activity in range(1, chance.randint(2, 3)):
            for sub in range(1, chance.randint(3, 5)):
                yield Line(year, skpd, f"{field}.{program:02d}.2.{activity:02d}.{sub:04d}", _rupiah(regency, 50_000_000, 5_000_000_000))


def _rupiah(regency: Regency, low: int, high: int) -> Decimal:
    """Whole thousands, and now and then sen."""
    return Decimal(regency.chance.randrange(low, high, 1_000)) + (Decimal("0.50") if regency.chance.random() < 0.2 else 0)


def _budget(regency: Regency, line: Line, day: date) -> Story:
    """Pagu; a change within the year holds from its beginning."""
    first, set_at = at(date(line.year, 1, 1)), regency.moment(day, 8, 12)

    def telling(amount: Decimal, op: Op, *, later: int = 0) -> Telling:
        when = set_at + timedelta(days=later)
        record = {**line.codes, "nilai": amount, "deleted_at": when if op is Op.CANCEL else None, "updated_at": when}
        event = Event("bpkad.budget.set.v1", line.subject, first, {**line.facts, "amount": amount})
        return Telling("pagu", when, record, (Fact(event, op),))

    return Story(
        (telling(line.budget, Op.CREATE),),
        mended=telling(line.budget + 25_000_000, Op.CORRECT, later=12),
        taken_back=telling(line.budget, Op.CANCEL, later=14),
        broken=telling(Decimal(-1), Op.CREATE),
    )


def _plan(regency: Regency, line: Line, month: int, day: date) -> Story:
    """RAK of a month, which the view shows from the month's beginning on."""
    first, set_at = at(date(line.year, month, 1)), regency.moment(day, 6, 8)
    planned = (line.budget / 12).quantize(Decimal("0.01"))

    def telling(amount: Decimal, op: Op, *, later: int = 0, activity: str = line.sub_activity[:12]) -> Telling:
        when = set_at + timedelta(days=later)
        record = {
            **line.codes, "kode_giat": activity, "bulan": month, "nilai_rak": amount, "deleted_at": when if op is Op.CANCEL else None,
            "updated_at": when,
        }  # fmt: skip
        event = Event("bpkad.cash_plan.set.v1", f"{line.subject}/{month:02d}", first, {**line.facts, "amount": amount})
        return Telling("rak", when, record, (Fact(event, op),))

    return Story(
        (telling(planned, Op.CREATE),),
        mended=telling(planned * 2, Op.CORRECT, later=3),
        taken_back=telling(planned, Op.CANCEL, later=5),
        broken=telling(planned, Op.CREATE, activity="9.99.99.2.01"),
    )


def _order(regency: Regency, line: Line, day: date, number: int) -> Story:
    """SP2D: issued, and transferred by the bank some days later; one that was cancelled tells neither any more."""
    chance = regency.chance
    kind, direct = chance.choice(_KINDS)
    amount = min(_rupiah(regency, 500_000, 90_000_000), line.budget)
    issued_at = regency.moment(day, 8, 15)
    paid_at = issued_at + timedelta(days=chance.randint(0, 3), hours=1)
    paid = paid_at.date() if paid_at.date() < regency.end and chance.random() < 0.9 else None

    def telling(
        when: datetime, amount: Decimal, op: Op, *, told: tuple[str, ...], paid: date | None = paid, transferred: bool = True
    ) -> Telling:
        record = {
            **line.codes, "id_sp_2_d_detail": number, "tanggal_sp_2_d": day, "jenis_sp_2_d": kind, "jenis_ls_sp_2_d": direct,
            "is_verifikasi_sp_2_d": 1, "is_transfer_sp_2_d": int(paid is not None and transferred), "tanggal_transfer": paid,
            "nilai_sp_2_d": amount, "deleted_at": when if op is Op.CANCEL else None, "updated_at": when,
        }  # fmt: skip
        data = {**line.facts, "payment_kind": kind, "direct_kind": direct, "amount": amount}
        moments = {"issued": day, "disbursed": paid or day}
        events = [Event(f"bpkad.payment.{each}.v1", f"{line.year}/{number}", at(moments[each]), data) for each in told]
        return Telling("sp2d", when, record, tuple(Fact(event, op) for event in events))

    both = ("issued",) if paid is None else ("issued", "disbursed")
    transfer = () if paid is None else (telling(paid_at, amount, Op.CREATE, told=("disbursed",)),)
    return Story(
        (telling(issued_at, amount, Op.CREATE, told=("issued",), paid=None), *transfer),
        mended=telling(paid_at + timedelta(hours=1), amount - 500, Op.CORRECT, told=both),
        taken_back=telling(paid_at + timedelta(days=2), amount, Op.CANCEL, told=both),
        # the bank says when, but not that it has transferred
        broken=telling(issued_at, amount, Op.CREATE, told=(), paid=day, transferred=False),
    )


def _published(regency: Regency, year: int, skpd: str, day: date) -> Iterator[Story]:
    """The budget by account of an organisation, as its office publishes it. It has no key: what is published again is said again."""
    organisation = f"{skpd[:4]}.{skpd[15:17]}"
    spending = Decimal(regency.chance.randrange(1_000, 90_000)) * 1_000_000
    told_at = regency.moment(day, 9, 14)
    for code, words, heading, tenths in _LINES:
        amount = None if tenths is None else spending / 10 * tenths
        yield _account(regency, (f"{organisation}.{code}" if code else "", words, heading), organisation, year, told_at, amount)


def _account(
    regency: Regency, line: tuple[str, str, str | None], organisation: str, year: int, told_at: datetime, amount: Decimal | None
) -> Story:
    code, words, heading = line

    def telling(amount: Decimal | None, *, later: int = 0, told: str = "") -> Telling:
        record = {
            "daerah": "Kabupaten Contoh", "tahun": f"{year}", "kode_organisasi": organisation, "kode": code, "uraian": words,
            "nilai": told or _written(regency, amount),
        }  # fmt: skip
        data = {"organisation": organisation, "heading": heading, "amount": amount}
        subject = f"{year}/{organisation}/{code.replace(' ', '').strip('.')}"
        event = Event("bpkad.account_budget.recorded.v1", subject, at(date(year, 1, 1)), data)
        return Telling("apbd", told_at + timedelta(days=later), record, (Fact(event),) if code else ())

    return Story(
        (telling(amount),),
        mended=telling(None if amount is None else amount + 10_000_000, later=4),
        # thousands without decimals could be read in two ways
        broken=telling(amount, told="1.500.000"),
    )


def _written(regency: Regency, amount: Decimal | None) -> str:
    """The amount as one of the offices writes it."""
    if amount is None:
        return ""
    grouped = f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))
    return regency.chance.choice((f"{amount:.2f}", f"{amount:.2f}".replace(".", ","), grouped))
