"""aiokafka's errors as ours, sorted by what the caller should do, and one way to wait for a broker that is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from aiokafka import errors as kafka
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from bus.errors import BusError, ConfigurationError, FatalError, OffsetGap, Problem, TransientError

T = TypeVar("T")

#: What may pass although aiokafka does not call it retriable. `BrokerResponseError`s of a broker that is going down or coming up are among them.
_PASSING = (
    kafka.KafkaTimeoutError,
    kafka.KafkaUnavailableError,
    kafka.BrokerNotAvailableError,
    kafka.ReplicaNotAvailableError,
    kafka.StaleControllerEpochError,
    kafka.StaleLeaderEpochCodeError,
    kafka.ProducerClosed,
    kafka.ProducerFenced,
    kafka.ConsumerStoppedError,
    kafka.OutOfOrderSequenceNumber,
    kafka.UnknownProducerId,
    kafka.InvalidProducerEpoch,
    kafka.CorruptRecordException,
    TimeoutError,
    OSError,
)
_CONFIGURATION = (
    kafka.KafkaConfigurationError,
    kafka.AuthenticationFailedError,
    kafka.AuthenticationMethodNotSupported,
    kafka.UnrecognizedBrokerVersion,
    kafka.IncompatibleBrokerVersion,
    kafka.UnsupportedCodecError,
    kafka.TopicAuthorizationFailedError,
    kafka.GroupAuthorizationFailedError,
    kafka.ClusterAuthorizationFailedError,
)


def translate(error: Exception, doing: str) -> BusError:
    """Our error for one of aiokafka's; `doing` says what was tried."""
    what = f"{doing}: {type(error).__name__}{f' ({error})' if str(error) else ''}"
    if isinstance(error, BusError):
        return error
    if isinstance(error, kafka.OffsetOutOfRangeError):
        return OffsetGap(f"{doing}: the offset is not in the log")
    if isinstance(error, _CONFIGURATION):
        return ConfigurationError([Problem("kafka", what)])
    # A bare KafkaError is aiokafka's "no known broker answered".
    if isinstance(error, _PASSING) or getattr(error, "retriable", False) or type(error) is kafka.KafkaError:
        return TransientError(what)
    return FatalError(what)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Inside, aiokafka's errors become ours."""
    try:
        yield
    except (kafka.KafkaError, kafka.ConsumerStoppedError, OSError, TimeoutError) as error:
        raise translate(error, doing) from error


async def persist(doing: str, attempt: Callable[[], Awaitable[T]], seconds: float) -> T:
    """The attempt's result; a `TransientError` is waited out, with growing pauses of at most a second, for that many seconds in all."""
    async for trial in AsyncRetrying(
        retry=retry_if_exception_type(TransientError),
        stop=stop_after_delay(seconds),
        wait=wait_exponential(multiplier=0.05, max=1.0),
        reraise=True,
    ):
        with trial, translated(doing):
            return await attempt()
    raise TransientError(doing)
