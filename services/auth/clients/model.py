"""Service clients and their secrets. Plain Python."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

SECRET_BYTES = 32


class SecretState(StrEnum):
    """The state of a client's secret."""

    WAITING = "waiting"
    ACTIVE = "active"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of a client, with what it gives; it works after a second administrator has confirmed it.

    Its id is the session id of the tokens that it gets, so they end with it.
    """

    id: UUID
    client_id: UUID
    secret_sha256: bytes = field(repr=False)
    scopes: frozenset[str]
    proposed_by: UUID
    proposed_at: datetime
    expires_at: datetime
    """Until when it can be confirmed."""
    confirmed_by: UUID | None = None
    confirmed_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> SecretState:
        """Its state at `now`."""
        if self.revoked_at is not None:
            return SecretState.ENDED
        if self.confirmed_at is not None:
            return SecretState.ACTIVE
        return SecretState.WAITING if now < self.expires_at else SecretState.ENDED


@dataclass(frozen=True, slots=True)
class Client:
    """A program, with those of its secrets that have not been revoked."""

    id: UUID
    name: str
    display_name: str
    disabled: bool
    created_by: UUID
    created_at: datetime
    secrets: tuple[Secret, ...] = ()


def new_secret() -> str:
    """A random secret of 256 bits, as text."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> bytes:
    """The SHA-256 of a secret, by which it is stored.

    Argon2 protects secrets that can be guessed. These cannot, and every call of a program would cost 64 MiB.
    """
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
