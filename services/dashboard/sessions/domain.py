"""Who is logged in. Plain Python."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.lake.domain.roles import Role, scopes_of_people

IDLE = timedelta(minutes=30)
"""Without a request for this long a session ends."""
LONGEST = timedelta(hours=12)
"""No session is longer."""
RECHECK = timedelta(seconds=30)
"""A session that auth has ended is ended here after this time at most."""
RETRY = timedelta(seconds=5)
"""While auth does not answer it is asked at most this often."""
REFRESH_BEFORE = timedelta(seconds=60)
"""An access token that is valid for less than this is replaced at the next check: more than RECHECK, so in time."""
SEEN_AGAIN = timedelta(seconds=60)
"""The time of the last request is written at most this often."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user, as auth knows them."""

    id: UUID
    username: str
    display_name: str
    roles: tuple[str, ...]

    @property
    def scopes(self) -> frozenset[str]:
        """What the roles allow."""
        return scopes_of_people(self.roles)

    @property
    def role(self) -> Role | None:
        """The first role, by which a person is introduced; None without any."""
        return Role(self.roles[0]) if self.roles else None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What auth has issued; the access token is valid until `expires_at`."""

    access: str
    refresh: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A person with an access token that is valid now; `key` is the hash of the cookie's value."""

    key: bytes
    person: Person
    access_token: str
