"""E-mail over a real SMTP server: what is read, what is refused, what is tried again."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import cast

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from bus.settings import AlertsSettings
from consumers.alerts.channels import Email
from consumers.alerts.mail import MailSender, mark
from consumers.alerts.notice import delivery_id, notice
from consumers.alerts.store import Waiting
from consumers.alerts.unit import Unit
from tests.unit.alerts.world import HOUR, NOON, row, shipped

FIRST, SECOND = "pusdalops@example.go.id", "bupati@example.go.id"


class Server:
    """Keeps what it accepts; `answers` are what it says to an addressee, `data` to a message."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], EmailMessage]] = []
        self.answers: dict[str, str] = {}
        self.data = "250 OK"
        self.slow = 0.0

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]) -> str:  # noqa: N802
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self.slow)
        if self.data.startswith("250"):
            letter = email.message_from_bytes(cast("bytes", envelope.content), policy=email.policy.default)
            self.letters.append((list(envelope.rcpt_tos), letter))
        return self.data


@asynccontextmanager
async def serving(server: Server, port: int = 0) -> AsyncIterator[int]:
    def make() -> SMTP:
        return SMTP(server, hostname="localhost", loop=asyncio.get_running_loop())

    listener = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await listener.wait_closed()


def sender(port: int, *to: str, language: str = "id", seconds: float = 5) -> MailSender:
    settings = AlertsSettings(
        smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", sender="simpul@example.go.id", timeout_seconds=seconds
    )
    return MailSender(Email.model_validate({"kind": "email", "to": list(to or (FIRST,)), "language": language}), settings)


def deliveries() -> list[Waiting]:
    """Merapi rises to Siaga, to Awas, and is normal again."""
    about = shipped("bpbd.merapi_level")
    unit = Unit(about)
    names = {1: "Level I (Normal)", 3: "Level III (Siaga)", 4: "Level IV (Awas)"}
    found = []
    for number, (old, new) in enumerate([(None, 3), (3, 4), (4, 1)]):
        rows = [(2 * number, NOON + number * HOUR, row(about, str(new), "MERAPI", names[new], revision=number + 1))]
        if old is not None:
            rows.append((2 * number + 1, NOON + number * HOUR, row(about, None, "MERAPI", names[old], revision=number + 1)))
        found += [each for each in unit.apply(rows, upto=2 * number + 2) if each.kind != "revised"]
    assert [each.kind for each in found] == ["begun", "changed", "ended"]
    return [
        Waiting(
            number, delivery_id(each.episode.id, each.episode.told, "siaga"), each.episode.id, each.kind, "siaga", True, each.at_us, each.at_us,
            notice(about, each, str), 0, frozenset(), None,
        )
        for number, each in enumerate(found)
    ]  # fmt: skip


async def test_an_episode_is_read_as_one_conversation() -> None:
    server = Server()
    async with serving(server) as port:
        for delivery in deliveries():
            assert (await sender(port, FIRST).send(delivery)).accepted
    (_, begun), (_, changed), (_, ended) = server.letters
    assert begun["Subject"] == "[Bahaya] Tingkat aktivitas Gunung Merapi: MERAPI"
    assert begun["To"] == FIRST
    assert "Gunung MERAPI: Level III (Siaga). Ikuti arahan" in begun.get_content()
    assert begun["Message-ID"] == f"<{deliveries()[0].id}@example.go.id>"
    assert changed["Subject"].startswith("[Bahaya – Berubah]")
    assert "Level IV (Awas)" in changed.get_content()
    assert changed["In-Reply-To"] == ended["References"] == begun["Message-ID"]
    assert "kembali ke Level I (Normal)" in ended.get_content()
    assert (begun["X-Priority"], ended["X-Priority"], begun["Auto-Submitted"]) == ("1", "3", "auto-generated")


async def test_the_same_in_english_and_the_same_at_every_attempt() -> None:
    server = Server()
    async with serving(server) as port:
        for _ in range(2):
            await sender(port, language="en").send(deliveries()[0])
    one, two = (letter for _, letter in server.letters)
    assert one.as_bytes() == two.as_bytes()
    assert one["Subject"] == "[Danger] Level of Mount Merapi: MERAPI"
    assert "Follow the directions" in one.get_content()


async def test_of_several_addressees_only_those_put_off_are_tried_again() -> None:
    server = Server()
    server.answers = {SECOND: "450 later"}
    delivery = deliveries()[0]
    async with serving(server) as port:
        outcome = await sender(port, FIRST, SECOND).send(delivery)
        assert (outcome.accepted, outcome.final, outcome.reached) == (False, False, frozenset({mark(FIRST)}))
        assert FIRST not in outcome.problem
        assert SECOND not in outcome.problem
        server.answers = {}
        again = Waiting(**{name: getattr(delivery, name) for name in Waiting.__dataclass_fields__} | {"reached": outcome.reached})
        assert (await sender(port, FIRST, SECOND).send(again)).accepted
    assert [to for to, _ in server.letters] == [[FIRST], [SECOND]]
    assert {letter["To"] for _, letter in server.letters} == {"undisclosed-recipients:;"}


@pytest.mark.parametrize(
    ("answers", "data", "final"),
    [
        ({FIRST: "550 nobody"}, "250 OK", True),
        ({FIRST: "450 later"}, "250 OK", False),
        ({}, "554 spam", True),
        ({}, "451 later", False),
    ],
)
async def test_what_is_refused_for_good_is_not_tried_again(answers: dict[str, str], data: str, final: bool) -> None:
    server = Server()
    server.answers, server.data = answers, data
    async with serving(server) as port:
        outcome = await sender(port).send(deliveries()[0])
    assert (outcome.accepted, outcome.final) == (False, final)


async def test_one_refused_addressee_does_not_stop_the_others() -> None:
    server = Server()
    server.answers = {SECOND: "550 nobody"}
    async with serving(server) as port:
        assert (await sender(port, FIRST, SECOND).send(deliveries()[0])).accepted


async def test_a_server_that_is_away_or_slow_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outcome = await sender(port).send(deliveries()[0])
    assert (outcome.final, "refused" in outcome.problem) == (False, True)
    server = Server()
    server.slow = 1.0
    async with serving(server) as port:
        outcome = await sender(port, seconds=0.2).send(deliveries()[0])
    assert (outcome.accepted, outcome.final) == (False, False)


async def test_where_starttls_is_asked_for_nothing_is_sent_without() -> None:
    server = Server()
    async with serving(server) as port:
        settings = AlertsSettings(smtp_host="127.0.0.1", smtp_port=port, sender="simpul@example.go.id", timeout_seconds=2)
        outcome = await MailSender(Email(kind="email", to=[FIRST]), settings).send(deliveries()[0])
    assert not outcome.accepted
    assert server.letters == []
