"""Cases that the tests play for seconds and the soak for minutes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal

from aiokafka.errors import KafkaError

from services.chassis.messaging import open_consumer
from tests.faults.writers import writing
from tests.integration.replicator.pipeline import Pipeline

TOPICS = ("credit.party", "credit.application")


async def rebalance_storm(pipeline: Pipeline, *, seconds: float, seed: int) -> int:
    """Case 11: three sinks, while others join their group and leave it and sinks are stopped and killed.

    Returns how often somebody joined, left, was stopped or killed, each of which shares the partitions out anew.
    """
    chance = random.Random(seed)
    await pipeline.start("relay")
    for number in range(3):
        await pipeline.start(f"sink{number}", "sink")
    ends = asyncio.get_running_loop().time() + seconds
    rebalances = 0
    async with writing(pipeline.lake_database, writers=4, seed=seed, pause=0.02):
        while asyncio.get_running_loop().time() < ends:
            rebalances += 1
            sink = f"sink{chance.randrange(3)}"
            match chance.choices(("guest", "stop", "kill"), (8, 1, 1))[0]:
                case "guest":
                    await _be_a_guest(pipeline, chance.uniform(0.2, 2))
                case "stop":
                    await pipeline.signal(sink, signal.SIGSTOP)
                    # Longer than its session lasts now and then, so that it comes back as a zombie.
                    await asyncio.sleep(chance.uniform(0.5, 8))
                    await pipeline.signal(sink, signal.SIGCONT)
                case _:
                    await pipeline.signal(sink, signal.SIGKILL)
                    await pipeline.start(sink, "sink")
    await pipeline.equal(120)
    for number in range(3):
        assert pipeline.processes[f"sink{number}"].returncode is None, pipeline.log(f"sink{number}")
    return rebalances


async def _be_a_guest(pipeline: Pipeline, seconds: float) -> None:
    """Join the sinks' group, take partitions, do nothing with them, leave."""
    topics = [pipeline.prefix + table for table in TOPICS]
    with contextlib.suppress(KafkaError):
        guest = await open_consumer(
            pipeline.kafka, f"{pipeline.prefix}sink", "guest", topics, session_timeout_millis=6000
        )
        try:
            await asyncio.sleep(seconds)
        finally:
            await guest.stop()
