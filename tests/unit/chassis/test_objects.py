"""Objects: stored whole or not at all, encrypted one by one, and noticed when they are not what was stored."""

from __future__ import annotations

import asyncio
import base64
import os
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.chassis.objects.interface import NoSuchObject, ObjectDamaged, Objects
from services.chassis.objects.local import BLOCK_BYTES, LocalObjects
from services.chassis.objects.opening import open_objects
from services.chassis.objects.sealed import (
    HEADER_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    Keys,
    SealedObjects,
    seal,
    unseal,
)

KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
OTHER = base64.urlsafe_b64encode(bytes(32)).decode()
NAME = "things/0197a2a0-0000-7000-8000-00000000beef"
LATER = timedelta(hours=1)


async def pieces(content: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def whole(store: Objects, key: str = NAME) -> bytes:
    return b"".join([piece async for piece in store.get(key)])


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def store(tmp_path: Path) -> SealedObjects:
    return SealedObjects(LocalObjects(tmp_path), Keys.parse(KEY))


@pytest.mark.parametrize(
    "size", [0, 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES, BLOCK_BYTES * 2 + 7]
)
async def test_an_object_comes_back_as_it_was_and_is_on_disk_encrypted(
    store: SealedObjects, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    await store.put(NAME, pieces(content))
    assert await whole(store) == content
    (file,) = files(tmp_path)
    segments = max(1, -(-size // SEGMENT_BYTES))
    assert file.stat().st_size == HEADER_BYTES + size + segments * TAG_BYTES
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert content[:64] not in file.read_bytes() or size < 2


async def test_equal_objects_are_stored_differently(store: SealedObjects, tmp_path: Path) -> None:
    for name in ("a", "b"):
        await store.put(f"things/{name}", pieces(b"the same"))
    one, other = (file.read_bytes() for file in files(tmp_path))
    assert one[HEADER_BYTES:] != other[HEADER_BYTES:]


def flipped(stored: bytes) -> bytes:
    return stored[:-1] + bytes([stored[-1] ^ 1])


_SEALED = SEGMENT_BYTES + TAG_BYTES
_FIRST, _SECOND = (
    slice(HEADER_BYTES, HEADER_BYTES + _SEALED),
    slice(HEADER_BYTES + _SEALED, HEADER_BYTES + 2 * _SEALED),
)


@pytest.mark.parametrize(
    "change",
    [
        flipped,
        lambda stored: stored[:-1],
        lambda stored: stored[: HEADER_BYTES + _SEALED],
        lambda stored: stored[:HEADER_BYTES],
        lambda stored: stored[: HEADER_BYTES - 1],
        lambda _: b"",
        lambda stored: stored + b"x",
        lambda stored: stored + stored[_SECOND],
        lambda stored: stored[:HEADER_BYTES] + stored[_SECOND] + stored[_FIRST] + stored[_SECOND.stop :],
        lambda stored: stored[:20] + b"\0" + stored[21:],
        lambda stored: b"XXXX" + stored[4:],
    ],
    ids=[
        "bit",
        "byte",
        "at a segment",
        "header",
        "half header",
        "all",
        "more",
        "again",
        "moved",
        "salt",
        "mark",
    ],
)
async def test_what_was_changed_on_disk_is_noticed(
    store: SealedObjects, tmp_path: Path, change: object
) -> None:
    await store.put(NAME, pieces(os.urandom(2 * SEGMENT_BYTES + 100)))
    (file,) = files(tmp_path)
    assert callable(change)
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(ObjectDamaged):
        await whole(store)


async def test_an_object_is_none_under_another_name(store: SealedObjects, tmp_path: Path) -> None:
    await store.put("things/mine", pieces(b"mine"))
    await store.put("things/yours", pieces(b"yours"))
    mine, yours = sorted(files(tmp_path))
    yours.write_bytes(mine.read_bytes())
    with pytest.raises(ObjectDamaged):
        await whole(store, "things/yours" if yours.name == "yours" else "things/mine")


async def test_keys_rotate(tmp_path: Path) -> None:
    inner = LocalObjects(tmp_path)
    await SealedObjects(inner, Keys.parse(KEY)).put("things/old", pieces(b"old"))
    rotated = SealedObjects(inner, Keys.parse(f"{OTHER}, {KEY}"))
    await rotated.put("things/new", pieces(b"new"))
    assert (await whole(rotated, "things/old"), await whole(rotated, "things/new")) == (b"old", b"new")
    with pytest.raises(ObjectDamaged, match="not set"):
        await whole(SealedObjects(inner, Keys.parse(KEY)), "things/new")


@pytest.mark.parametrize("text", ["", "short", KEY + ",", KEY[:-4], "é" * 43])
def test_keys_that_are_none_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes") as refused:
        Keys.parse(text)
    assert len(text) < 8 or text not in str(refused.value)


async def failing(after: int) -> AsyncIterator[bytes]:
    for _ in range(after):
        yield os.urandom(BLOCK_BYTES)
    raise OSError("the client is gone")


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_content_that_ends_early_leaves_nothing(
    store: SealedObjects, tmp_path: Path, after: int
) -> None:
    with pytest.raises(OSError, match="gone"):
        await store.put(NAME, failing(after))
    assert files(tmp_path) == []
    with pytest.raises(NoSuchObject):
        await whole(store)


async def test_a_cancelled_put_leaves_nothing(store: SealedObjects, tmp_path: Path) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield os.urandom(BLOCK_BYTES)
            started.set()

    putting = asyncio.create_task(store.put(NAME, endless()))
    await started.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert files(tmp_path) == []


async def test_what_a_killed_process_left_is_discarded_when_it_is_old(
    store: SealedObjects, tmp_path: Path
) -> None:
    left = tmp_path / "unfinished" / "0123"
    left.parent.mkdir()
    left.write_bytes(b"half")
    now = datetime.now(UTC)
    assert await store.discard_unfinished(now - LATER) == 0
    assert await store.discard_unfinished(now + LATER) == 1
    assert files(tmp_path) == []


async def test_old_objects_are_listed_by_prefix_and_removed(store: SealedObjects) -> None:
    for name in ("things/a", "things/b", "others/c"):
        await store.put(name, pieces(b"x"))
    now = datetime.now(UTC)
    assert [key async for key in store.older_than("things", now - LATER)] == []
    assert {key async for key in store.older_than("things", now + LATER)} == {"things/a", "things/b"}
    await store.remove("things/a")
    await store.remove("things/a")
    assert [key async for key in store.older_than("things", now + LATER)] == ["things/b"]
    assert [key async for key in store.older_than("nothing", now)] == []


async def test_files_of_other_programs_are_no_objects(store: SealedObjects, tmp_path: Path) -> None:
    await store.put("things/a", pieces(b"x"))
    for name in (".DS_Store", ".nfs0001", "A.txt", "a b"):
        (tmp_path / "things" / name).write_bytes(b"x")
    assert [key async for key in store.older_than("things", datetime.now(UTC) + LATER)] == ["things/a"]


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "A", "a.b", "a\0b", "a/"])
async def test_a_key_is_never_a_path(store: SealedObjects, tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="a key has"):
        await store.put(key, pieces(b"x"))
    assert files(tmp_path) == []


async def test_a_store_is_named_by_a_url(tmp_path: Path) -> None:
    folder = tmp_path / "with blank"
    store = open_objects(folder.as_uri(), KEY)
    await store.put(NAME, pieces(b"x"))
    assert len(files(folder)) == 1
    for url in ("s3://bucket", "file://host/x", "/folder", "file:folder"):
        with pytest.raises(ValueError, match="file:///folder"):
            open_objects(url, KEY)


@pytest.mark.parametrize("size", [0, 1, SEGMENT_BYTES, SEGMENT_BYTES + 1])
async def test_a_content_of_a_row_is_encrypted_as_an_object_is(
    store: SealedObjects, tmp_path: Path, size: int
) -> None:
    keys, content = Keys.parse(KEY), os.urandom(size)
    sealed = seal(keys, NAME, content)
    assert unseal(keys, NAME, sealed) == content
    assert content[:64] not in sealed or size < 2
    await store.put(NAME, pieces(content))
    (file,) = files(tmp_path)
    assert unseal(keys, NAME, file.read_bytes()) == content


def test_a_content_of_a_row_that_was_changed_moved_or_cut_is_noticed() -> None:
    keys = Keys.parse(KEY)
    sealed = seal(keys, NAME, b"x" * 100)
    for stored, name, used in (
        (sealed[:-1] + bytes([sealed[-1] ^ 1]), NAME, keys),
        (sealed, NAME + "a", keys),
        (sealed[:HEADER_BYTES], NAME, keys),
        (b"", NAME, keys),
        (sealed, NAME, Keys.parse(OTHER)),
    ):
        with pytest.raises(ObjectDamaged):
            unseal(used, name, stored)
