"""Encoded answers, kept in memory: a build's numbers never change, so an answer about one is made once.

Nothing has to be invalidated: the build is part of the key. Whoever has the scope gets the same answer, so the caller
is no part of it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

from prometheus_client import Counter

ANSWERS = Counter(
    "analytics_answers", "Answers about a build, by where they came from (memory, warehouse).", ("source",)
)
for _source in ("memory", "warehouse"):
    # From the start at zero: a rate needs a first value.
    ANSWERS.labels(_source)


ENTRY_BYTES = 1024
"""What an answer takes beside its body: without it, empty answers to ever other questions would fill the memory."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A body as it is sent."""

    body: bytes
    etag: str = field(init=False)

    def __post_init__(self) -> None:
        """Hash the body: an answer in a later release's words has another tag."""
        object.__setattr__(self, "etag", f'"{hashlib.blake2b(self.body, digest_size=16).hexdigest()}"')


class Answers:
    """The answers that were asked for last, up to a size; each is made by one request while others wait for it."""

    def __init__(self, most_bytes: int, entry_bytes: int = ENTRY_BYTES) -> None:
        """`most_bytes`: of all answers, each its body and `entry_bytes`. One that is larger alone is not kept."""
        self._most_bytes = most_bytes
        self._entry_bytes = entry_bytes
        self._kept: OrderedDict[Hashable, Answer] = OrderedDict()
        self._bytes = 0
        self._under_way: dict[Hashable, asyncio.Task[Answer]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> Answer:
        """The answer of this key; `make` encodes it unless it is kept or under way. Raises what `make` raises."""
        if (found := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            ANSWERS.labels("memory").inc()
            return found
        task = self._under_way.get(key)
        if task is None:
            # A task of its own: a client that goes away must not take the answer from the others that wait.
            task = asyncio.create_task(self._made(key, make))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._end(key, done))
            ANSWERS.labels("warehouse").inc()
        else:
            ANSWERS.labels("memory").inc()
        return await asyncio.shield(task)

    async def _made(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> Answer:
        answer = Answer(await make())
        if self._size(answer) <= self._most_bytes:
            self._kept[key] = answer
            self._bytes += self._size(answer)
            while self._bytes > self._most_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= self._size(oldest)
        return answer

    def _size(self, answer: Answer) -> int:
        return len(answer.body) + self._entry_bytes

    def _end(self, key: Hashable, done: asyncio.Task[Answer]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            # Asked for, so that a failure that nobody waits for any more is not reported by the event loop.
            done.exception()
