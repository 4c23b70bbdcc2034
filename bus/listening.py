"""What something listens on, as the URL at which it is asked."""

from __future__ import annotations

#: Listening on all addresses of a machine, and the one of them at which it is asked from there.
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on


def url_of(host: str, port: int) -> str:
    """`http://host:port`, an IPv6 address in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def url_here(host: str, port: int) -> str:
    """Where who is on the same machine asks it."""
    return url_of(_HERE.get(host, host), port)
