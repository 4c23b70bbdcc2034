"""A REST interface that is asked again and again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.ingest.kinds.base_spec import SourceSpec
from bus.ingest.kinds.json_spec import Deleted


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ByNumber(_Part):
    """Pages by their number, until one is empty or the last that the answer names was read."""

    kind: Literal["page"]
    parameter: str = "page"
    first: int = Field(1, ge=0, description="the number of the first page")
    last: str = Field("", description="dotted path to the number of the last page; none: a page without records is the end")


class ByCursor(_Part):
    """Each answer holds what the next page is asked with; without it, or with a blank one, it is the last."""

    kind: Literal["cursor"]
    parameter: str = "cursor"
    field: str = Field(min_length=1, description="dotted path to it: meta.next")


class ByLink(_Part):
    """The header `Link` of each answer names the next page (RFC 8288, rel=next)."""

    kind: Literal["link"]


class Since(_Part):
    """Only what is newer is asked for."""

    parameter: str = "since"
    field: str = Field(min_length=1, description="dotted path, in a record, to what the parameter is compared with")
    form: Literal["iso", "date", "unix", "unix-ms", "number"] = Field("iso", description="how parameter and field are written")
    look_back: float = Field(
        ge=0, description="how much is read again each time: seconds, or of a number its units; as late as records become visible"
    )
    first: str = Field("", description="what the first poll asks for; blank: it asks without the parameter")


class ByKey(_Part):
    """A key in a header or in the query."""

    kind: Literal["header", "query"]
    name: str = Field("X-Api-Key", min_length=1)
    prefix: str = Field("", description="what stands before the key: 'Bearer '")
    setting: str = Field("api_key", description="the setting with the key")

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that it needs."""
        return (self.setting,)


class ByOAuth(_Part):
    """OAuth 2.0 client credentials: a token that is asked for anew before it expires."""

    kind: Literal["oauth2"]
    token_setting: str = Field("token_url", description="the setting with the address where tokens are given")
    id_setting: str = Field("client_id", description="the setting with the client's name")
    secret_setting: str = Field("client_secret", description="the setting with its secret")
    scope: str = ""
    sent: Literal["header", "body"] = Field("header", description="where name and secret are sent")

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that it needs."""
        return (self.token_setting, self.id_setting, self.secret_setting)


class HttpSpec(SourceSpec):
    """A REST interface that is asked again and again."""

    type: Literal["http"]
    path: str = Field(description="what is asked, below the address in the setting")
    setting: str = Field("base_url", description="the setting with the interface's address")
    poll_seconds: float = Field(60.0, gt=0, description="how often it is asked")
    params: dict[str, str] = Field(default_factory=dict, description="parameters of every question")
    headers: dict[str, str] = Field(default_factory=dict, description="headers of every question; nothing secret")
    format: Literal["json", "json-lines"] = "json"
    records: str = Field("", description="dotted path to the list of records: data.items; blank: the answer is the list")
    whole: bool = Field(False, description="the answer is all there is: what is missing is gone")
    page: Annotated[ByNumber | ByCursor | ByLink, Field(discriminator="kind")] | None = Field(None, description="none: one page")
    most_pages: int = Field(1_000, ge=1, description="more pages than that are a fault, not data")
    since: Since | None = None
    deleted: Deleted | None = Field(None, description="what says that a record is no more")
    auth: Annotated[ByKey | ByOAuth, Field(discriminator="kind")] | None = None
    per_minute: int | None = Field(None, ge=1, description="questions a minute at most, tokens among them")
    timeout_seconds: float = Field(30.0, gt=0)
    body_bytes: int = Field(32 << 20, ge=1, description="a larger answer is a fault, not data")

    @property
    def wanted_settings(self) -> tuple[str, ...]:
        return (self.setting, *(self.auth.settings if self.auth is not None else ()))

    def faults(self) -> list[tuple[str, str]]:
        return list(self._faults())

    def _faults(self) -> Iterator[tuple[str, str]]:
        if not self.path.startswith("/") or self.path.startswith("//") or "?" in self.path or "#" in self.path:
            yield "path", f"{self.path!r} is not of the form /a/b; what follows a ? belongs into params"
        if self.whole and not self.key:
            yield "whole", "needs a key, or what is missing cannot be told"
        if self.whole and self.since is not None:
            yield "since", "what is newer is not all there is: leave out whole or since"
        if self.deleted is not None and not self.key:
            yield "deleted", "needs a key, or what is no more cannot be told"
        if self.format == "json-lines":
            if self.records:
                yield "records", "JSON Lines have no path: each line is a record"
            if isinstance(self.page, ByCursor) or (isinstance(self.page, ByNumber) and self.page.last):
                yield "page", "JSON Lines have no place for a cursor or a last page; allowed: page without last, link"
        for name, taken in (("page", getattr(self.page, "parameter", None)), ("since", getattr(self.since, "parameter", None))):
            if taken in self.params:
                yield f"params.{taken}", f"is also the parameter of {name}"
        if self.since is not None and self.since.first and not _is_moment(self.since):
            yield "since.first", f"{self.since.first!r} is not of the form {self.since.form}"


def _is_moment(since: Since) -> bool:
    try:
        datetime.fromisoformat(since.first) if since.form in {"iso", "date"} else int(since.first)
    except ValueError:
        return False
    return True
