"""Moving windows in a Redis or Valkey that all processes of a service share.

Only a process that has such a store imports this: the client takes 21 MiB of memory. The store in memory of `limits` is
not used: it starts a task and a thread for each request (decision 142).
"""

import asyncio
import time
from typing import Any

from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.chassis.web.limits.windows import Standing, StoreUnavailable, whole

STORE_SECONDS = 0.25
"""How long a request waits for the shared store."""
_CONNECTIONS = 50
_PREFIX = "creditmesh:rates"


class SharedWindows:
    """The windows in a store; exact while the clocks of the processes agree."""

    def __init__(self, url: str, *, seconds: float = STORE_SECONDS) -> None:
        """`url`: redis://… or rediss://…; nothing is connected yet. A request waits at most `seconds`."""
        self._seconds = seconds
        # Without a retry: a request that waits for a broken store is slower than one that is counted locally.
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=seconds,
            socket_connect_timeout=seconds,
            socket_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
        )
        options: dict[str, Any] = {"connection_pool": self._pool}
        storage = RedisStorage(
            f"async+{url}", wrap_exceptions=True, implementation="redispy", key_prefix=_PREFIX, **options
        )
        self._limiter = MovingWindowRateLimiter(storage)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.disconnect()

    async def hit(self, item: RateLimitItem, kind: str, client: str) -> Standing:
        """Count a request as `LocalWindows.hit` does; raises StoreUnavailable."""
        try:
            async with asyncio.timeout(self._seconds):
                admitted = await self._limiter.hit(item, kind, client)
                stats = await self._limiter.get_window_stats(item, kind, client)
        except (StorageError, OSError, TimeoutError) as error:
            raise StoreUnavailable(type(error.__cause__ or error).__name__) from error
        return Standing(admitted, max(0, stats.remaining), whole(stats.reset_time - time.time()))
