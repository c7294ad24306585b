"""What a store of objects does, whichever it is."""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from typing import Protocol


class NoSuchObject(Exception):
    """There is no object with this key."""


class ObjectDamaged(Exception):
    """An object is not what was stored, or none of the keys decrypts it."""


class Objects(Protocol):
    """A store of objects. A key has lower-case letters, digits, dashes and slashes; nobody's input is a key."""

    async def put(self, key: str, content: AsyncIterator[bytes]) -> None:
        """Store an object durably, or nothing of it when `content` raises or the task is cancelled."""

    def get(self, key: str) -> AsyncGenerator[bytes]:
        """The content of an object, in pieces; raises NoSuchObject before the first, ObjectDamaged at any."""

    async def remove(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""

    def older_than(self, prefix: str, instant: datetime) -> AsyncGenerator[str]:
        """The keys below the folder `prefix` of objects that were stored before an instant."""

    async def discard_unfinished(self, instant: datetime) -> int:
        """Remove what killed processes left of objects that they began to store before an instant; how many."""
