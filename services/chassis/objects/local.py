"""Objects in a folder of this machine: a file each, written beside its place, synced, then renamed into it."""

import asyncio
import os
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from services.chassis.objects.interface import NoSuchObject

BLOCK_BYTES = 1 << 20
"""Bytes that are read or written at a time, each time in a thread."""

_KEY = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*")
_UNFINISHED = "unfinished"
_P = ParamSpec("_P")
_R = TypeVar("_R")


class LocalObjects:
    """A folder of objects. Processes of one machine share it; only the account that writes it reads it."""

    def __init__(self, folder: Path) -> None:
        """`folder` and what is missing above it are made at the first write."""
        self._folder = folder

    async def put(self, key: str, content: AsyncIterator[bytes]) -> None:
        """Store an object durably, or nothing of it when `content` raises or the task is cancelled."""
        target = self._path(key)
        draft = self._folder / _UNFINISHED / secrets.token_hex(16)
        # Not in a thread: a cancellation would lose the descriptor.
        descriptor = _create(draft)
        try:
            try:
                async for block in _blocks(content):
                    await _in_thread(_write, descriptor, block)
                await _in_thread(os.fsync, descriptor)
            finally:
                os.close(descriptor)
            await _in_thread(_place, draft, target, self._folder)
        finally:
            await _in_thread(lambda: draft.unlink(missing_ok=True))

    async def get(self, key: str) -> AsyncGenerator[bytes]:
        """The content of an object, in pieces; raises NoSuchObject before the first."""
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NoSuchObject(key) from None
        try:
            while block := await _in_thread(os.read, descriptor, BLOCK_BYTES):
                yield block
        finally:
            os.close(descriptor)

    async def remove(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        path = self._path(key)
        await _in_thread(lambda: path.unlink(missing_ok=True))

    async def older_than(self, prefix: str, instant: datetime) -> AsyncGenerator[str]:
        """The keys below the folder `prefix` of objects that were stored before an instant."""
        for path in await _in_thread(lambda: list(_files(self._folder / prefix, instant))):
            # Other programs leave files, too: .DS_Store, .nfs0001.
            if _KEY.fullmatch(key := f"{prefix}/{path.name}"):
                yield key

    async def discard_unfinished(self, instant: datetime) -> int:
        """Remove what killed processes left of objects that they began to store before an instant; how many."""

        def discard() -> int:
            left = list(_files(self._folder / _UNFINISHED, instant))
            for path in left:
                path.unlink(missing_ok=True)
            return len(left)

        return await _in_thread(discard)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError("a key has lower-case letters, digits, dashes and slashes")
        prefix, _, name = key.rpartition("/")
        # Some hundred folders, so that none has all files.
        return self._folder / prefix / name[-2:] / name


def _create(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _write(descriptor: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _place(draft: Path, target: Path, root: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft.replace(target)
    # A name lasts when its folder is synced, and a new folder when the one above it is.
    folder = target.parent
    while True:
        _sync_folder(folder)
        if folder == root:
            return
        folder = folder.parent


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: Path, before: datetime) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() and datetime.fromtimestamp(path.stat().st_mtime, UTC) < before:
                yield path
        except FileNotFoundError:  # another process removed it
            continue


async def _blocks(content: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    gathered = bytearray()
    async for piece in content:
        gathered += piece
        if len(gathered) >= BLOCK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


async def _in_thread(call: Callable[_P, _R], *arguments: _P.args, **named: _P.kwargs) -> _R:
    """Run `call` in a thread and wait for its end even when cancelled: it may be using a descriptor of ours."""
    running: asyncio.Future[Any] = asyncio.ensure_future(asyncio.to_thread(call, *arguments, **named))
    try:
        result: _R = await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
    return result
