"""PostgreSQL and Kafka that tests kill; their supervisor starts them again."""

from __future__ import annotations

import asyncio
import os
import signal

from services.chassis.kafka_access import KafkaAccess
from services.platform.platform import Platform


class Servers:
    """The stores of one platform."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    @property
    def kafka(self) -> KafkaAccess:
        """A login at the broker that may do everything."""
        return self.platform.kafka_access()

    async def up(self) -> None:
        """Wait until both are ready, starting what does not run."""
        await self.platform.up(["databases", "kafka-logins"])

    async def kill(self, name: str) -> None:
        """End `postgres` or `kafka` with SIGKILL, so that nothing is written any more; it is started again."""
        info = (await asyncio.to_thread(self.platform.supervisor.all))[name]
        if info.pid:
            os.kill(info.pid, signal.SIGKILL)

    async def ready(self, name: str) -> None:
        """Wait until a server that was killed serves again."""
        await self.platform.up([name])
