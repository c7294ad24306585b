"""Password hashing with argon2id, off the event loop and never more than a few at once."""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# Each hash takes 64 MiB and tens of milliseconds of a core.
MOST_AT_ONCE = 2


class Passwords:
    """Hashes and verifies passwords (argon2id, RFC 9106's low-memory parameters)."""

    def __init__(self) -> None:
        """Prepares a hash to verify against when there is no user, so that both take the same work."""
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe())
        self.slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def hash(self, password: str) -> str:
        """The encoded hash of `password`, salt and parameters included."""
        return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, encoded: str | None, password: str) -> bool:
        """Whether `password` belongs to the hash; always False, after the same work, when that is None."""
        matches = await asyncio.to_thread(self._verify, encoded or self._nobody, password)
        return matches and encoded is not None

    def is_outdated(self, encoded: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(encoded)

    def _verify(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False
