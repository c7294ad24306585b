"""The Ed25519 keys that sign access tokens: creation, encryption at rest, rotation, publication as a JWKS."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from services.chassis.web.identity import ALGORITHM, TOKEN_TYPE
from services.chassis.web.problems import Unavailable

# A new key is published this long before it signs, so that every instance's JWKS already holds it.
PUBLISHED_BEFORE = timedelta(minutes=5)
CLOCK_MARGIN = timedelta(minutes=10)


class WrongEncryptionKey(Exception):
    """A signing key cannot be decrypted: AUTH_KEY_ENCRYPTION_KEY is not the one it was stored with."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key as it is stored in the database."""

    id: UUID
    public_key: bytes
    private_key_encrypted: bytes
    created_at: datetime
    signs_from: datetime
    published_until: datetime


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """How long a key signs, and how long tokens live."""

    rotation: timedelta
    token_lifetime: timedelta

    def is_due(self, keys: Sequence[StoredKey], now: datetime) -> bool:
        """Whether another key is due."""
        return not keys or now >= keys[-1].signs_from + self.rotation - PUBLISHED_BEFORE

    def new_key(self, keys: Sequence[StoredKey], now: datetime, cipher: Fernet) -> StoredKey:
        """A new key that takes over from `keys`; the first one signs at once."""
        private = Ed25519PrivateKey.generate()
        signs_from = now + PUBLISHED_BEFORE if keys else now
        return StoredKey(
            id=uuid7(),
            public_key=private.public_key().public_bytes_raw(),
            private_key_encrypted=cipher.encrypt(private.private_bytes_raw()),
            created_at=now,
            signs_from=signs_from,
            # The next key may start to sign late; verify every token that this key signs until then.
            published_until=signs_from + 2 * self.rotation + self.token_lifetime + CLOCK_MARGIN,
        )


class KeyRing:
    """The published keys, in memory: signing and the JWKS need no database."""

    def __init__(self, cipher: Fernet) -> None:
        """`cipher` decrypts the private keys."""
        self._cipher = cipher
        self._keys: Sequence[StoredKey] = ()
        self._private: dict[UUID, Ed25519PrivateKey] = {}

    def replace(self, keys: Sequence[StoredKey]) -> None:
        """Hold `keys` (oldest first) from now on; raises WrongEncryptionKey when one cannot be decrypted."""
        try:
            self._private = {
                key.id: self._private.get(key.id)
                or Ed25519PrivateKey.from_private_bytes(self._cipher.decrypt(key.private_key_encrypted))
                for key in keys
            }
        except InvalidToken:
            raise WrongEncryptionKey(WrongEncryptionKey.__doc__) from None
        self._keys = tuple(keys)

    def new_key(self, policy: KeyPolicy, now: datetime, published: Sequence[StoredKey]) -> StoredKey:
        """A new key that, by `policy`, takes over from `published`; encrypted, not yet in the ring."""
        return policy.new_key(published, now, self._cipher)

    @property
    def is_empty(self) -> bool:
        """Whether no key was loaded yet."""
        return not self._keys

    def sign(self, claims: Mapping[str, Any], now: datetime) -> str:
        """A JWT of `claims`, signed by the newest key that is already valid for signing; Unavailable without one."""
        ready = [key for key in self._keys if key.signs_from <= now < key.published_until]
        if not ready:
            raise Unavailable("The signing keys could not be loaded yet; try again shortly.")
        key = ready[-1]
        return jwt.encode(
            dict(claims),
            self._private[key.id],
            algorithm=ALGORITHM,
            headers={"kid": str(key.id), "typ": TOKEN_TYPE},
        )

    def jwks(self, now: datetime) -> dict[str, Any]:
        """The JSON Web Key Set (RFC 7517, 8037) of every key that still verifies."""
        return {"keys": [_public(key) for key in self._keys if now < key.published_until]}


def _public(key: StoredKey) -> dict[str, str]:
    encoded = urlsafe_b64encode(key.public_key).rstrip(b"=").decode()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": encoded,
        "kid": str(key.id),
        "use": "sig",
        "alg": ALGORITHM,
    }
