"""The registry in key-value buckets of NATS JetStream. Only this module knows nats-py."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import KeyValueConfig, StorageType
from nats.js.client import JetStreamContext
from nats.js.errors import (
    BucketNotFoundError,
    KeyDeletedError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
    NoKeysError,
)
from nats.js.errors import Error as JetStreamError
from nats.js.kv import KeyValue
from yarl import URL

from smproxy.cluster.records import Bucket
from smproxy.cluster.requests import (
    CONFLICT,
    MISSING,
    NO_ANSWER,
    Create,
    ListKeys,
    Read,
    RegistryEntry,
    RegistryRequest,
    Remove,
    Reply,
    Update,
    Written,
)
from smproxy.cluster.timing import Timing
from smproxy.tasks import end_tasks

logger = logging.getLogger(__name__)

#: Seconds for the first connection.
_CONNECT_WITHIN = 5.0
#: Seconds for which the mark of a deleted entry is kept, so that watches see it.
_MARKER_TTL = 60.0
#: Errors of a conditional change whose condition does not hold (JSStreamWrongLastSequence).
_WRONG_SEQUENCE = frozenset({10071, 10164})

#: Takes the entry of a key, ``None`` when it was deleted.
OnChange = Callable[[Bucket, str, RegistryEntry | None], None]
#: Takes the keys of a bucket whose watch has just begun.
OnListed = Callable[[Bucket, set[str]], None]


class RegistryError(ConnectionError):
    """The registry cannot be used; one line that says why."""


class NatsRegistry:
    """A connection to the registry. Made by :meth:`start`, ended by :meth:`stop`."""

    def __init__(self, client: Client, timing: Timing, monotonic: Callable[[], float]) -> None:
        self._client = client
        self._stream: JetStreamContext = client.jetstream(timeout=timing.answer)
        self._timing = timing
        self._monotonic = monotonic
        self._buckets: dict[Bucket, KeyValue] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False

    @classmethod
    async def start(cls, url: str, timing: Timing, monotonic: Callable[[], float]) -> NatsRegistry:
        """Connect and make the buckets, unless they are there.

        Raises:
            RegistryError: the server does not answer, refuses the credentials, or has no JetStream.
        """
        client = Client()
        shown = str(URL(url).with_user(None))
        closing = False

        connecting: asyncio.Future[None] | None = None
        last_error: Exception | None = None

        async def remember(error: Exception) -> None:
            """Keep it for the case that no connection comes about; wrong credentials stay wrong."""
            nonlocal last_error
            last_error = error
            if _refuses(error) and connecting is not None:
                connecting.cancel()

        async def changed() -> None:
            if not closing and not client.is_closed:
                logger.warning("the registry %s is %s", shown, "back" if client.is_connected else "lost")

        try:
            connecting = asyncio.ensure_future(client.connect(
                url, allow_reconnect=True, max_reconnect_attempts=-1, reconnect_time_wait=timing.retry,  # type: ignore[arg-type]
                connect_timeout=2, ping_interval=max(1, round(timing.answer)), max_outstanding_pings=2,
                error_cb=remember, disconnected_cb=changed, reconnected_cb=changed,
            ))  # fmt: skip
            try:
                # Reconnecting for ever, nats-py connects for ever, too.
                connected, _ = await asyncio.wait([connecting], timeout=_CONNECT_WITHIN)
            finally:
                connecting.cancel()
            if not connected or connecting.cancelled():
                raise TimeoutError
            await connecting
            registry = cls(client, timing, monotonic)
            for bucket in Bucket:
                await registry._open(bucket)
        except (NatsError, JetStreamError, OSError, TimeoutError) as error:
            closing = True
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await client.close()
            why = last_error or error
            reason = (getattr(why, "strerror", None) or str(why) or type(why).__name__).removeprefix("nats: ")
            hint = "give its user and password, or its token: nats://USER:PASSWORD@HOST:PORT"
            if not _refuses(why):
                hint = "check that a NATS server with JetStream runs there"
            raise RegistryError(f"--cluster {shown}: {reason}: {hint}") from None
        return registry

    async def _open(self, bucket: Bucket) -> KeyValue:
        try:
            found = await self._stream.key_value(bucket)
        except BucketNotFoundError:
            ttl = self._timing.ttl if bucket is Bucket.NODES else None
            config = KeyValueConfig(
                bucket=bucket, history=1, ttl=ttl, storage=StorageType.FILE, limit_marker_ttl=_MARKER_TTL
            )
            found = await self._stream.create_key_value(config)
        self._buckets[bucket] = found
        return found

    async def perform(self, request: RegistryRequest) -> Reply:
        """Carry out a request.

        Without a connection there is no answer: nothing waits to be sent later.
        """
        if not self._client.is_connected:
            await asyncio.sleep(self._timing.retry)
            return NO_ANSWER
        sent = self._monotonic()
        try:
            async with asyncio.timeout(self._timing.answer):
                return await self._perform(request, sent)
        except (KeyNotFoundError, KeyDeletedError):
            return MISSING
        except KeyWrongLastSequenceError:
            return CONFLICT
        except NoKeysError:
            return ()
        except JetStreamError as error:
            if getattr(error, "err_code", None) in _WRONG_SEQUENCE:
                return CONFLICT
            with contextlib.suppress(NatsError, JetStreamError, OSError, TimeoutError):
                await self._open(request.bucket)  # the server may have come back without its data
            return NO_ANSWER
        except (NatsError, OSError, TimeoutError):
            return NO_ANSWER

    async def _perform(self, request: RegistryRequest, sent: float) -> Reply:
        bucket = self._buckets[request.bucket]
        match request:
            case Read(_, key):
                found = await bucket.get(key)
                # What the server leaves of an entry that has expired: nats-py does not know it from an entry.
                return RegistryEntry(found.value, found.revision or 0) if found.value else MISSING
            case Create(_, key, value):
                return Written(await self._create(bucket, key, value), sent)
            case Update(_, key, value, revision):
                return Written(await bucket.update(key, value, revision), sent)
            case Remove(name, key, revision):
                headers = {
                    "KV-Operation": "PURGE",
                    "Nats-Rollup": "sub",
                    "Nats-Expected-Last-Subject-Sequence": str(revision),
                }
                reply = await self._stream.publish(f"$KV.{name}.{key}", b"", headers=headers, msg_ttl=_MARKER_TTL)
                return Written(reply.seq, sent)
            case ListKeys():
                return tuple(await bucket.keys())

    @staticmethod
    async def _create(bucket: KeyValue, key: str, value: bytes) -> int:
        try:
            return await bucket.create(key, value)
        except KeyWrongLastSequenceError:
            found = await bucket.get(key)
            if found.value:
                raise
            return await bucket.update(key, value, found.revision)

    def watch(self, bucket: Bucket, on_change: OnChange, on_listed: OnListed) -> None:
        """Have every change of a bucket from now on, after all that it holds."""
        self._tasks.append(asyncio.create_task(self._watch(bucket, on_change, on_listed)))

    async def _watch(self, bucket: Bucket, on_change: OnChange, on_listed: OnListed) -> None:
        while not self._stopped:
            with contextlib.suppress(NatsError, JetStreamError, OSError, TimeoutError):
                await self._watch_once(bucket, on_change, on_listed)
            await asyncio.sleep(self._timing.retry)

    async def _watch_once(self, bucket: Bucket, on_change: OnChange, on_listed: OnListed) -> None:
        """Watch until the connection has been lost.

        Whether a watch outlives that depends on the server.
        """
        reconnects = self._client.stats["reconnects"]
        watcher = await self._buckets[bucket].watchall()
        listed: set[str] | None = set()
        try:
            # A cancellation may be lost within ``updates`` (``asyncio.wait_for`` before Python 3.12).
            while not self._stopped and self._client.is_connected and self._client.stats["reconnects"] == reconnects:
                try:
                    update = await watcher.updates(timeout=self._timing.renew)  # type: ignore[no-untyped-call]
                except (TimeoutError, NatsError):
                    continue
                if update is None:
                    if listed is not None:
                        on_listed(bucket, listed)
                        listed = None
                    continue
                entry = None
                if update.operation is None and update.value is not None:
                    entry = RegistryEntry(update.value, update.revision or 0)
                    if listed is not None:
                        listed.add(update.key)
                on_change(bucket, update.key, entry)
        finally:
            with contextlib.suppress(NatsError, JetStreamError, OSError, TimeoutError):
                await watcher.stop()  # type: ignore[no-untyped-call]

    async def stop(self) -> None:
        """Close the connection."""
        self._stopped = True
        await end_tasks(self._tasks)
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._client.close()


def _refuses(error: Exception) -> bool:
    """Whether the server does not take the credentials.

    nats-py has no error of its own for that while it connects.
    """
    return "authorization" in str(error).lower()
