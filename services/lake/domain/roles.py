"""Who may do what: the roles of the lending process and the scopes that each gives. Plain Python.

`docs/figures/access.md` is generated from here. Which rows a role may see is SQL: `services/lake/access.py`.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum


class Role(StrEnum):
    """What a user is in the lending process."""

    MAKER = "maker"
    OFFICER = "officer"
    SENIOR_OFFICER = "senior_officer"
    COMMITTEE = "committee"
    SERVICING = "servicing"
    AUDITOR = "auditor"
    ANALYST = "analyst"
    ADMINISTRATOR = "administrator"


class Personal(IntEnum):
    """How much of a party's personal data somebody sees."""

    HIDDEN = 0
    """Nothing, not even the name."""
    MASKED = 1
    """The name; the identifier and the ways to reach the person only in part, and no birth date."""
    CLEAR = 2
    """Everything."""


CHECKERS = frozenset({Role.OFFICER, Role.SENIOR_OFFICER, Role.COMMITTEE})
"""Who decides on applications and books loans."""

POWERFUL = CHECKERS | {Role.SERVICING, Role.ADMINISTRATOR}
"""Roles that decide, move money or grant rights: no single person gives them."""

_CHECKER = frozenset(
    {"applications:read", "applications:decide", "applications:book", "parties:read", "parties:correct"}
)
SCOPES: Mapping[Role, frozenset[str]] = {
    Role.MAKER: frozenset({"applications:read", "applications:submit", "parties:read", "parties:write"}),
    Role.OFFICER: _CHECKER,
    # Who judges a loan is not who books the small ones every day.
    Role.SENIOR_OFFICER: _CHECKER | {"loans:classify", "loans:confirm"},
    Role.COMMITTEE: _CHECKER | {"loans:classify", "loans:confirm"},
    # Money is recorded by people who neither apply for loans nor grant them; what of it takes two people is confirmed
    # by a role of its band.
    Role.SERVICING: frozenset({"applications:read", "parties:read", "loans:service", "loans:confirm"}),
    Role.AUDITOR: frozenset({"applications:read", "parties:read", "audit:read", "users:read"}),
    Role.ANALYST: frozenset({"applications:read"}),
    # Who grants rights reads no customer.
    Role.ADMINISTRATOR: frozenset({"users:manage", "users:read", "audit:read"}),
}


def scopes_of(roles: Iterable[Role]) -> frozenset[str]:
    """All that these roles allow together."""
    return frozenset().union(*(SCOPES[role] for role in roles))
