"""The `[clock]` section of an indicator's TOML file: which status codes start, stop and end a service's clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bus.indicators.section import Section

#: What a step does to the clock; see `bus.indicators.sla`.
Role = Literal["start", "pause", "resume", "hold", "restart", "finish", "other"]

Code = Annotated[str, Field(min_length=1)]


class ClockSpec(Section):
    """A clock over an event type whose events are the successive states of one subject.

    `status`: an expression (text) with the code of the state; each role lists the codes that have it, a code that is in no list does
    nothing to the clock. `limit`: an expression (integer) with the working days that are allowed, read at the finishing step.
    """

    status: Annotated[str, Field(min_length=1)]
    start: Annotated[list[Code], Field(min_length=1)]
    pause: list[Code] = Field(default_factory=list)
    resume: list[Code] = Field(default_factory=list)
    hold: list[Code] = Field(default_factory=list)
    restart: list[Code] = Field(default_factory=list)
    finish: Annotated[list[Code], Field(min_length=1)]
    limit: str | None = None

    @model_validator(mode="after")
    def _one_role_each(self) -> ClockSpec:
        listed = [(code, role) for role, codes in self._codes().items() for code in codes]
        seen: dict[str, Role] = {}
        for code, role in listed:
            if code in seen:
                raise ValueError(f"code {code!r} is in {seen[code]} and in {role}; each code has one role and is written once")
            seen[code] = role
        if self.pause and not (self.resume or self.restart):
            raise ValueError("pause without resume or restart: a stopped clock could never go on")
        return self

    @property
    def roles(self) -> Mapping[str, Role]:
        """The role of each code that has one; every other code, and null, is "other"."""
        return {code: role for role, codes in self._codes().items() for code in codes}

    def _codes(self) -> dict[Role, list[Code]]:
        return {
            "start": self.start,
            "pause": self.pause,
            "resume": self.resume,
            "hold": self.hold,
            "restart": self.restart,
            "finish": self.finish,
        }
