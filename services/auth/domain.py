"""Accounts and the lockout rule. Plain Python."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.lake.domain.roles import POWERFUL, Role

USERNAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$"
PASSWORD_MIN_LENGTH = 12
PASSWORD_MAX_LENGTH = 256

# Up to five failures are a forgotten password; each further failure doubles the wait.
FREE_ATTEMPTS = 5
FIRST_LOCK = timedelta(minutes=1)
LONGEST_LOCK = timedelta(minutes=15)
FORGET_AFTER = timedelta(hours=1)

# A network that tries many names must wait until the window ends.
NETWORK_ATTEMPTS = 20
NETWORK_WINDOW = timedelta(minutes=10)
KNOWN_FOR = timedelta(days=30)
"""For this time after a login, the user may log in from that network, whatever others there have tried."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user as stored."""

    id: UUID
    username: str
    display_name: str
    password_hash: str
    roles: frozenset[Role]
    disabled: bool
    created_at: datetime
    must_change_password: bool = False

    @property
    def administers(self) -> bool:
        """Whether this user can manage users now."""
        return not self.disabled and Role.ADMINISTRATOR in self.roles


@dataclass(frozen=True, slots=True)
class Session:
    """What one login has opened."""

    id: UUID
    user_id: UUID
    issued_at: datetime
    ends_at: datetime
    """Its absolute end, however often it is refreshed."""
    amr: tuple[str, ...]
    """How the user has proved who they are (RFC 8176)."""


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be added."""

    username: str
    display_name: str
    password: str = field(repr=False)
    roles: frozenset[Role]
    must_change_password: bool = True


@dataclass(frozen=True, slots=True)
class UserChange:
    """A change of a user; None leaves a part as it is."""

    roles: frozenset[Role] | None = None
    disabled: bool | None = None
    password: str | None = field(default=None, repr=False)


class ProposalKind(StrEnum):
    """The kind of change that a proposal makes."""

    CREATE = "create"
    CHANGE = "change"


class ProposalState(StrEnum):
    """The state of a proposal."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change of a user that needs two administrators; None leaves a part as it is."""

    id: UUID
    kind: ProposalKind
    user_id: UUID
    username: str
    display_name: str
    roles_before: frozenset[Role] | None
    disabled_before: bool | None
    roles: frozenset[Role] | None
    disabled: bool | None
    sets_password: bool
    password_hash: str | None = field(repr=False)
    proposed_by: UUID
    proposed_at: datetime
    expires_at: datetime
    confirmed_by: UUID | None = None
    confirmed_at: datetime | None = None
    refused_by: UUID | None = None
    refused_at: datetime | None = None

    def state(self, now: datetime) -> ProposalState:
        """Its state at `now`."""
        if self.confirmed_by is not None:
            return ProposalState.CONFIRMED
        if self.refused_by is not None:
            return ProposalState.REFUSED
        return ProposalState.EXPIRED if now >= self.expires_at else ProposalState.PENDING


def takes_two(before: Account | None, change: UserChange) -> bool:
    """Whether a second administrator must confirm a change of `user`, which is None for a user to be added.

    True when the user gains a role that decides, moves money or grants rights (also by being enabled), and when
    a password is set: whoever sets it could log in as the user.
    """
    if before is not None and change.password is not None:
        return True
    held = frozenset() if before is None or before.disabled else before.roles
    roles = change.roles if change.roles is not None else before.roles if before else frozenset()
    disabled = change.disabled if change.disabled is not None else before is not None and before.disabled
    return not disabled and bool((roles - held) & POWERFUL)


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed logins under one name from one network, whether or not a user has the name.

    Counted by name and network: by the name alone, any stranger could lock its user out.
    """

    count: int = 0
    last_at: datetime | None = None

    def locked_for(self, now: datetime) -> timedelta:
        """How long from `now` logins under this name are refused; zero when they are allowed."""
        if self.last_at is None or self.count < FREE_ATTEMPTS:
            return timedelta(0)
        lock = min(FIRST_LOCK * (1 << min(self.count - FREE_ATTEMPTS, 10)), LONGEST_LOCK)
        return max(self.last_at + lock - now, timedelta(0))

    def after_another(self, now: datetime) -> "Failures":
        """The failures after one more at `now`; failures expire after an hour."""
        forgotten = self.last_at is None or now - self.last_at > FORGET_AFTER
        return Failures(1 if forgotten else self.count + 1, now)


@dataclass(frozen=True, slots=True)
class NetworkFailures:
    """The failed logins from one network under any names, in a window that began at `since`."""

    count: int = 0
    since: datetime | None = None

    def locked_for(self, now: datetime) -> timedelta:
        """How long from `now` logins from this network are refused; zero when they are allowed."""
        if self.since is None or self.count < NETWORK_ATTEMPTS:
            return timedelta(0)
        return max(self.since + NETWORK_WINDOW - now, timedelta(0))

    def after_another(self, now: datetime) -> "NetworkFailures":
        """The failures after one more at `now`."""
        if self.since is None or now - self.since >= NETWORK_WINDOW:
            return NetworkFailures(1, now)
        return NetworkFailures(self.count + 1, self.since)


def is_username(text: str) -> bool:
    """Whether a user could have this name."""
    return re.fullmatch(USERNAME_PATTERN, text) is not None


@dataclass(frozen=True, slots=True)
class ResetCode:
    """A code as it is stored."""

    id: UUID
    user_id: UUID
    code_sha256: bytes = field(repr=False)
    issued_by: UUID
    issued_at: datetime
    expires_at: datetime
    confirmed_by: UUID | None = None
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None
    """When it was used or replaced."""
