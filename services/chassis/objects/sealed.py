"""Objects encrypted one by one: AES-256-GCM in segments, by the scheme AES256-GCM-HKDF of Google's Tink.

An object has a header (a mark, the id of the key, a salt of 32 random bytes), then segments of 64 KiB, each with its
tag of 16 bytes. HKDF-SHA256 derives the object's own key from the key and the salt, bound to the header and to the
object's name. A segment's nonce is its number, with a last byte that is 1 for the last segment: a segment that is
missing, repeated, moved or from another object is noticed, and so is a cut end.

Source: https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming; Hoang, Reyhanitabar, Rogaway, Vizár,
"Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015 (STREAM).
"""

import base64
import hashlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.chassis.objects.interface import ObjectDamaged, Objects

SEGMENT_BYTES = 64 << 10
TAG_BYTES = 16
_MARK = b"CMO1"
_ID_BYTES = 8
_SALT_BYTES = 32
HEADER_BYTES = len(_MARK) + _ID_BYTES + _SALT_BYTES


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a store by their ids, which are computed from them; `newest` encrypts, all decrypt."""

    newest: bytes
    by_id: Mapping[bytes, bytes]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Keys of 32 bytes in URL-safe base64, separated by commas, the newest first.

        Raises:
            ValueError: there is none, or one is not of this form; the message does not repeat it.
        """
        try:
            keys = [base64.urlsafe_b64decode(part.strip()) for part in text.split(",")]
        except ValueError:
            keys = []
        if not keys or any(len(key) != 32 for key in keys):
            raise ValueError("give keys of 32 bytes in URL-safe base64, separated by commas")
        by_id = {hashlib.sha256(b"creditmesh object key" + key).digest()[:_ID_BYTES]: key for key in keys}
        return cls(next(iter(by_id)), by_id)


class SealedObjects:
    """A store whose objects are encrypted before another store sees them."""

    def __init__(self, inner: Objects, keys: Keys) -> None:
        """`inner` stores the encrypted objects."""
        self._inner = inner
        self._keys = keys

    async def put(self, key: str, content: AsyncIterator[bytes]) -> None:
        """Store an object durably, or nothing of it when `content` raises or the task is cancelled."""
        async with aclosing(self._sealed(key, content)) as sealed:
            await self._inner.put(key, sealed)

    async def get(self, key: str) -> AsyncGenerator[bytes]:
        """The content of an object, in pieces; raises NoSuchObject before the first, ObjectDamaged at any."""
        cipher: AESGCM | None = None
        held, number = bytearray(), 0
        async with aclosing(self._inner.get(key)) as stored:
            async for piece in stored:
                held += piece
                if cipher is None and len(held) >= HEADER_BYTES:
                    cipher = _cipher(self._keys, key, bytes(held[:HEADER_BYTES]))
                    del held[:HEADER_BYTES]
                # What could be the last segment waits: only the end of the object says whether it is.
                while cipher is not None and len(held) > SEGMENT_BYTES + TAG_BYTES:
                    segment = bytes(held[: SEGMENT_BYTES + TAG_BYTES])
                    del held[: SEGMENT_BYTES + TAG_BYTES]
                    yield _decrypted(cipher, number, segment, last=False)
                    number += 1
        if cipher is None:
            raise ObjectDamaged(f"{key} ends in its header")
        yield _decrypted(cipher, number, bytes(held), last=True)

    async def remove(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        await self._inner.remove(key)

    def older_than(self, prefix: str, instant: datetime) -> AsyncGenerator[str]:
        """The keys below the folder `prefix` of objects that were stored before an instant."""
        return self._inner.older_than(prefix, instant)

    async def discard_unfinished(self, instant: datetime) -> int:
        """Remove what killed processes left of objects that they began to store before an instant; how many."""
        return await self._inner.discard_unfinished(instant)

    async def _sealed(self, key: str, content: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        header = _header(self._keys)
        cipher = _cipher(self._keys, key, header)
        yield header
        held, number = bytearray(), 0
        async for piece in content:
            held += piece
            while len(held) > SEGMENT_BYTES:
                segment = bytes(held[:SEGMENT_BYTES])
                del held[:SEGMENT_BYTES]
                yield cipher.encrypt(_nonce(number, last=False), segment, None)
                number += 1
        yield cipher.encrypt(_nonce(number, last=True), bytes(held), None)


def seal(keys: Keys, name: str, content: bytes) -> bytes:
    """A small content encrypted as an object called `name`, for where a row holds it."""
    header = _header(keys)
    cipher = _cipher(keys, name, header)
    starts = range(0, max(len(content), 1), SEGMENT_BYTES)
    return header + b"".join(
        cipher.encrypt(
            _nonce(number, last=number == len(starts) - 1), content[start : start + SEGMENT_BYTES], None
        )
        for number, start in enumerate(starts)
    )


def unseal(keys: Keys, name: str, stored: bytes) -> bytes:
    """What `seal` encrypted under this name.

    Raises:
        ObjectDamaged: it was not stored like this, or with a key that is not set.
    """
    header, rest = stored[:HEADER_BYTES], stored[HEADER_BYTES:]
    if not rest:
        raise ObjectDamaged(f"{name} ends in its header")
    cipher = _cipher(keys, name, header)
    starts = range(0, len(rest), SEGMENT_BYTES + TAG_BYTES)
    return b"".join(
        _decrypted(
            cipher, number, rest[start : start + SEGMENT_BYTES + TAG_BYTES], last=number == len(starts) - 1
        )
        for number, start in enumerate(starts)
    )


def _header(keys: Keys) -> bytes:
    return _MARK + keys.newest + secrets.token_bytes(_SALT_BYTES)


def _cipher(keys: Keys, name: str, header: bytes) -> AESGCM:
    """The cipher of one object, by its name and header."""
    found = keys.by_id.get(header[len(_MARK) : len(_MARK) + _ID_BYTES])
    if found is None or not header.startswith(_MARK):
        raise ObjectDamaged(f"{name} was stored with a key that is not set")
    derived = HKDF(SHA256(), 32, salt=header[-_SALT_BYTES:], info=header + name.encode()).derive(found)
    return AESGCM(derived)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _decrypted(cipher: AESGCM, number: int, segment: bytes, *, last: bool) -> bytes:
    try:
        return cipher.decrypt(_nonce(number, last=last), segment, None)
    except (InvalidTag, ValueError):
        raise ObjectDamaged(f"segment {number} was not stored like this") from None
