"""Every error of aiokafka has its place among ours."""

from __future__ import annotations

import inspect
import time

import pytest
from aiokafka import errors as kafka

from bus.errors import BusError, ConfigurationError, FatalError, OffsetGap, TransientError
from bus.kafka.failures import persist, translate, translated

ALL = [
    kind
    for _, kind in inspect.getmembers(kafka, inspect.isclass)
    # The parent of the brokers' errors has no number and is never raised itself.
    if issubclass(kind, kafka.KafkaError | kafka.ConsumerStoppedError) and kind is not kafka.BrokerResponseError
]


def made(kind: type[Exception]) -> Exception:
    return kind.__new__(kind)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_is_translated(kind: type[Exception]) -> None:
    error = translate(made(kind), "testing")
    assert type(error) in {TransientError, FatalError, ConfigurationError, OffsetGap}
    assert "testing" in str(error)
    if getattr(kind, "retriable", False):
        assert isinstance(error, TransientError)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (kafka.KafkaConnectionError("gone"), TransientError),
        (kafka.KafkaTimeoutError(), TransientError),
        (kafka.NotLeaderForPartitionError(), TransientError),
        (kafka.KafkaError("no known broker answered"), TransientError),
        (kafka.OutOfOrderSequenceNumber(), TransientError),
        (ConnectionResetError(), TransientError),
        (TimeoutError(), TransientError),
        (kafka.OffsetOutOfRangeError(), OffsetGap),
        (kafka.TopicAuthorizationFailedError("t"), ConfigurationError),
        (kafka.MessageSizeTooLargeError(), FatalError),
        (kafka.UnknownError(), FatalError),
    ],
)
def test_what_the_caller_should_do(error: Exception, ours: type[BusError]) -> None:
    with pytest.raises(ours) as raised, translated("testing"):
        raise error
    assert raised.value.__cause__ is error


async def test_only_what_may_pass_is_tried_again() -> None:
    tries = 0

    async def attempt() -> int:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise kafka.KafkaConnectionError
        return tries

    assert await persist("testing", attempt, 10) == 3

    async def hopeless() -> int:
        nonlocal tries
        tries += 1
        raise kafka.MessageSizeTooLargeError

    tries = 0
    with pytest.raises(FatalError):
        await persist("testing", hopeless, 10)
    assert tries == 1


async def test_patience_ends() -> None:
    async def away() -> int:
        raise kafka.KafkaConnectionError("away")

    began = time.monotonic()
    with pytest.raises(TransientError, match="away"):
        await persist("testing", away, 0.3)
    assert time.monotonic() - began < 5
