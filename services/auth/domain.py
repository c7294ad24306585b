"""Accounts and the lockout rule. Plain Python."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.chassis.access import Role

USERNAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$"
PASSWORD_MIN_LENGTH = 12
PASSWORD_MAX_LENGTH = 256

# Five misses are a forgotten password; from there on each doubles the wait.
FREE_ATTEMPTS = 5
FIRST_LOCK = timedelta(minutes=1)
LONGEST_LOCK = timedelta(minutes=15)
FORGET_AFTER = timedelta(hours=1)


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

    @property
    def administers(self) -> bool:
        """Whether this user can manage users now."""
        return not self.disabled and Role.ADMINISTRATOR in self.roles


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be added."""

    username: str
    display_name: str
    password: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class UserChange:
    """What shall change of a user; None leaves a part as it is."""

    roles: frozenset[Role] | None = None
    disabled: bool | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed logins under one name, whether a user has it or not."""

    count: int = 0
    last_at: datetime | None = None

    def locked_for(self, now: datetime) -> timedelta:
        """How long from `now` no login is tried under this name; zero when it is free."""
        if self.last_at is None or self.count < FREE_ATTEMPTS:
            return timedelta(0)
        lock = min(FIRST_LOCK * (1 << min(self.count - FREE_ATTEMPTS, 10)), LONGEST_LOCK)
        return max(self.last_at + lock - now, timedelta(0))

    def after_another(self, now: datetime) -> "Failures":
        """The failures when one more happens at `now`; old ones are forgotten after an hour."""
        forgotten = self.last_at is None or now - self.last_at > FORGET_AFTER
        return Failures(1 if forgotten else self.count + 1, now)


def is_username(text: str) -> bool:
    """Whether a user could have this name."""
    return re.fullmatch(USERNAME_PATTERN, text) is not None
