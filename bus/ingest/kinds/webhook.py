"""The kind `webhook`: a system posts its records to our ingress, one by one or, after days offline, thousands at once.

A post is answered with 202 only when its records are durable in the journal; until it sees that, the sender repeats it. What was accepted under
an id (a CloudEvent's, `Idempotency-Key`, or the field that the manifest names as `id`) is known the second time, also across a kill.

What this kind cannot promise:
- A post without any id, to a source without `key`, is as many facts as it is sent times.
- What a sender gives up before it sees 202 may be here or not.
- Records that were refused are refused, and kept in quarantine, each time that they are sent again.
- Only the newest of a subject counts by the order in which posts are answered, not by the time of the facts: senders send in order.
- With `until_end` it ends at once: nobody knows whether a sender has more.
- A signature says who sent a body, not where to and not under which headers (`bus.ingest.kinds.webhook_keys`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bus.errors import TransientError
from bus.ingest.context import SourceContext
from bus.ingest.kinds.webhook_ingress import Endpoint, expect, ingress
from bus.ingest.kinds.webhook_keys import Keys
from bus.ingest.kinds.webhook_spec import WebhookSpec
from bus.ingest.stream import Sink
from bus.ingest.stream_runner import unusable


class WebhookSource:
    """One source that is posted to."""

    def __init__(self, context: SourceContext, values: Mapping[str, str]) -> None:
        """Raises `ConfigurationError` for keys that cannot be used."""
        assert isinstance(context.spec, WebhookSpec)
        self._context = context
        self._spec = context.spec
        try:
            self._keys = Keys(values[context.spec.setting], context.name)
        except ValueError as error:
            raise unusable(context, context.spec.setting, str(error)) from None
        expect(context.name)

    async def run(self, sink: Sink, *, until_end: bool) -> None:
        if until_end:
            return
        context = self._context
        closed = asyncio.get_running_loop().create_future()
        endpoint = Endpoint(context.agency.id, self._spec, self._keys, sink, context.clock, closed)
        async with ingress(context.ingest).serving(context.name, endpoint) as server:
            await asyncio.wait({server})
        raise TransientError("the ingress has ended")
