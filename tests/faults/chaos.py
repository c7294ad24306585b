"""Faults at random: which, when and to whom follows from a seed."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable, Coroutine

from tests.faults.proxy import Proxy
from tests.faults.scenarios import be_a_guest
from tests.faults.servers import Servers
from tests.integration.replicator.pipeline import Pipeline

RELAYS = ("relay0", "relay1")
SINKS = ("sink0", "sink1", "sink2")
PAUSE_SECONDS = 2.0
LONGEST_STOP_SECONDS = 10.0
"""Longer than the relays' lease (3 s) and the sinks' session (6 s) last."""
WEIGHTS = {
    "relay killed": 22,
    "relay stopped": 12,
    "sink killed": 22,
    "sink stopped": 12,
    "broker killed": 4,
    "PostgreSQL killed": 8,
    "connections reset": 5,
    "connections cut for a while": 3,
    "connections stalled": 3,
    "connections half-open": 2,
    "reply to a commit lost": 5,
    "stranger in the sinks' group": 6,
}


class Chaos:
    """Does faults to a running replication, one after another, some still going on when the next comes."""

    def __init__(self, pipeline: Pipeline, servers: Servers, proxy: Proxy, seed: int) -> None:
        self._pipeline, self._servers, self._proxy = pipeline, servers, proxy
        self._chance = random.Random(seed)
        self._killed: set[int] = set()
        self._going_on: set[asyncio.Task[None]] = set()
        self.done: Counter[str] = Counter()

    async def start(self) -> None:
        """Start relays and sinks, every database connection of theirs through the proxy."""
        for name in (*RELAYS, *SINKS):
            await self._start(name)

    async def _start(self, name: str) -> None:
        role = name.rstrip("0123456789")
        await self._pipeline.start(
            name,
            role,
            LAKE_URL=self._proxy.url(self._pipeline.lake_url(role)),
            APPLICATION_URL=self._proxy.url(self._pipeline.application_database.url(role)),
        )

    async def run(self, faults: int, told: Callable[[str], None]) -> None:
        """Inject a number of faults; `told` is called with each.

        Raises:
            AssertionError: a relay or sink has ended by itself.
        """
        for _ in range(faults):
            fault = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            self.done[fault] += 1
            told(fault)
            await self._do(fault)
            await asyncio.sleep(min(self._chance.expovariate(1 / PAUSE_SECONDS), 3 * PAUSE_SECONDS))
            self.check_alive()

    def check_alive(self) -> None:
        """See that nobody has ended but those that were killed here.

        Raises:
            AssertionError: somebody has; with the end of the log.
        """
        for name, process in self._pipeline.processes.items():
            if process.returncode is not None and process.pid not in self._killed:
                raise AssertionError(
                    f"{name} ended with {process.returncode}:\n{self._pipeline.log(name)[-4000:]}"
                )

    async def end(self) -> None:
        """Let what goes on come to its end: nothing is stopped, cut or down any more."""
        await asyncio.gather(*self._going_on)
        await self._proxy.mend()
        await self._servers.up()

    async def _do(self, fault: str) -> None:
        chance, proxy = self._chance, self._proxy
        match fault:
            case "relay killed":
                await self._kill(chance.choice(RELAYS))
            case "relay stopped":
                self._go_on(self._stop(chance.choice(RELAYS), chance.uniform(0.2, LONGEST_STOP_SECONDS)))
            case "sink killed":
                await self._kill(chance.choice(SINKS))
            case "sink stopped":
                self._go_on(self._stop(chance.choice(SINKS), chance.uniform(0.2, LONGEST_STOP_SECONDS)))
            case "broker killed":
                await self._servers.kill("kafka")
            case "PostgreSQL killed":
                await self._servers.kill("postgres")
            case "connections reset":
                proxy.reset()
            case "connections cut for a while":
                await proxy.cut()
                self._go_on(self._mend_after(chance.uniform(0.2, 4)))
            case "connections stalled":
                proxy.stall()
                self._go_on(self._mend_after(chance.uniform(0.2, 4)))
            case "connections half-open":
                proxy.go_deaf()
            case "reply to a commit lost":
                # Of a transaction, or of the claim that every batch begins with and many consist of.
                proxy.lose_reply_to(chance.choice((b"COMMIT", b".credit.")))
            case _:
                self._go_on(be_a_guest(self._pipeline, chance.uniform(0.2, 3)))

    async def _kill(self, name: str) -> None:
        self._killed.add(self._pipeline.processes[name].pid)
        await self._pipeline.signal(name, signal.SIGKILL)
        await self._start(name)

    async def _stop(self, name: str, seconds: float) -> None:
        process = self._pipeline.processes[name]
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)

    async def _mend_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._proxy.mend()

    def _go_on(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._going_on.add(task)
        task.add_done_callback(self._going_on.discard)
