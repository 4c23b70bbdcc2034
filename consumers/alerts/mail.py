"""A delivery as an e-mail, by SMTP.

Guarantee: at least once, and once as far as SMTP can say it. A message keeps its Message-ID over all attempts, so that servers and readers
which look at it show it once. What SMTP cannot promise: a server that has taken the message (250) while we are killed before that is written
down, or whose 250 is lost on the way, is given the same message again. Of several addressees those who were accepted or refused for good are
remembered, and only the others are tried again. Addresses are in no log, metric or error.
"""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from bus.settings import AlertsSettings
from consumers.alerts.channels import Email
from consumers.alerts.notice import delivery_id
from consumers.alerts.sender import Outcome
from consumers.alerts.store import Waiting
from consumers.alerts.words import Language

_FOOT: dict[Language, str] = {
    "id": "Pesan otomatis dari Simpul. Indikator {indicator}; aturan {rule}; mulai {begun}; keadaan per {at}.",
    "en": "Automatic message from Simpul. Indicator {indicator}; rule {rule}; began {begun}; as of {at}.",
}
_HIGHEST = {"danger": "1", "warning": "2"}


class MailSender:
    """One channel's mail. A connection for each message: alerts are few, and a server may drop an idle one."""

    kind = "email"

    def __init__(self, channel: Email, settings: AlertsSettings) -> None:
        self._channel = channel
        self._settings = settings

    async def send(self, delivery: Waiting) -> Outcome:
        left = [address for address in self._channel.to if mark(address) not in delivery.reached]
        if not left:
            return Outcome(reached=delivery.reached)
        letter = message(delivery, self._channel, self._settings.sender)
        try:
            # The socket's time-out is for each reply; this one is for all of them.
            async with asyncio.timeout(self._settings.timeout_seconds * 2):
                refused = await asyncio.to_thread(self._submit, letter, left)
        except TimeoutError:
            return Outcome("the mail server took too long", reached=delivery.reached)
        except smtplib.SMTPRecipientsRefused as error:
            refused = {address: code for address, (code, _) in error.recipients.items()}
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            return Outcome(f"the mail server answered {error.smtp_code}", final=error.smtp_code >= 500, reached=delivery.reached)
        except (smtplib.SMTPException, OSError) as error:
            return Outcome(f"the mail server could not be used: {_named(error)}", reached=delivery.reached)
        return _outcome(delivery, left, refused)

    async def close(self) -> None:
        pass

    def _submit(self, letter: EmailMessage, to: list[str]) -> dict[str, int]:
        """Give it to the server; the addressees whom it refused, with its code."""
        settings = self._settings
        context = ssl.create_default_context()
        seconds = settings.timeout_seconds
        server: smtplib.SMTP
        if settings.smtp_security == "tls":
            server = smtplib.SMTP_SSL(settings.smtp_host, settings.smtp_port, timeout=seconds, context=context)
        else:
            server = smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=seconds)
        with server:
            if settings.smtp_security == "starttls":
                server.starttls(context=context)
            if settings.smtp_user:
                server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
            refused = server.sendmail(settings.sender, to, letter.as_bytes(policy=SMTP))
        return {address: code for address, (code, _) in refused.items()}


def mark(address: str) -> str:
    """An addressee as the outbox remembers it: not by the address."""
    return hashlib.sha256(address.encode()).hexdigest()[:16]


def message(delivery: Waiting, channel: Email, sender: str) -> EmailMessage:
    """The message, the same at every attempt. What follows the first of an episode answers it, so that readers show them together."""
    it, language = delivery.notice, channel.language
    domain = sender.rpartition("@")[2]
    first = delivery_id(delivery.episode, 1, delivery.channel)
    letter = EmailMessage()
    letter["From"] = sender
    letter["To"] = Address(addr_spec=channel.to[0]) if len(channel.to) == 1 else "undisclosed-recipients:;"
    letter["Subject"] = " ".join(it["subject"][language].split())
    letter["Date"] = format_datetime(datetime.fromtimestamp(delivery.made_us / 1_000_000, UTC))
    letter["Message-ID"] = f"<{delivery.id}@{domain}>"
    if delivery.id != first:
        letter["In-Reply-To"] = letter["References"] = f"<{first}@{domain}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter["X-Priority"] = _HIGHEST.get(it["severity"], "3") if it["transition"] != "ended" else "3"
    letter["X-Simpul-Episode"] = delivery.episode
    foot = _FOOT[language].format(indicator=it["indicator"], rule=it["rule"], begun=it["begun_at"], at=it["at"])
    letter.set_content(f"{it['text'][language]}\n\n{foot}\n")
    return letter


def _outcome(delivery: Waiting, left: list[str], refused: dict[str, int]) -> Outcome:
    again = {address for address, code in refused.items() if code < 500}
    reached = delivery.reached | {mark(address) for address in left if address not in again}
    if again:
        return Outcome(f"the mail server put off {len(again)} of {len(left)} addressees", reached=reached)
    if len(refused) == len(left) and not delivery.reached:
        return Outcome(f"the mail server refused every addressee ({min(refused.values())})", final=True, reached=reached)
    return Outcome(reached=reached)


def _named(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} {error.smtp_code}"
    return type(error).__name__ if not isinstance(error, OSError) or not error.strerror else error.strerror
