"""The roles of the lending process and the scopes that each gives. Plain Python.

A program has the role `service` and no other; its scopes are some of those of the role.

`docs/figures/access.md` is generated from here. Which rows a role may see is SQL: `services/lake/access.py`.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum
from uuid import UUID


class Role(StrEnum):
    """A user's role in the lending process."""

    MAKER = "maker"
    OFFICER = "officer"
    SENIOR_OFFICER = "senior_officer"
    COMMITTEE = "committee"
    SERVICING = "servicing"
    AUDITOR = "auditor"
    ANALYST = "analyst"
    ADMINISTRATOR = "administrator"
    SERVICE = "service"


class Personal(IntEnum):
    """How much of a party's personal data a caller sees."""

    HIDDEN = 0
    """Nothing, not even the name."""
    MASKED = 1
    """The name; the identifier and the contact details only in part; no birth date."""
    CLEAR = 2
    """Everything."""


CHECKERS = frozenset({Role.OFFICER, Role.SENIOR_OFFICER, Role.COMMITTEE})
"""The roles that decide on applications and book loans."""

POWERFUL = CHECKERS | {Role.SERVICING, Role.ADMINISTRATOR, Role.SERVICE}
"""Roles that decide, move money or grant rights, and that of programs: granting them needs two people."""

OF_PEOPLE = frozenset(Role) - {Role.SERVICE}
"""The roles that a user can have."""

SYSTEM_ACTOR = UUID(int=0)
"""The actor of what a process does on its own: the nil UUID (RFC 9562), which no person has."""

_CHECKER = frozenset(
    {
        "applications:read",
        "applications:decide",
        "applications:book",
        "parties:read",
        "parties:correct",
        "kpis:read",
        "lineage:read",
    }
)
SCOPES: Mapping[Role, frozenset[str]] = {
    Role.MAKER: frozenset({"applications:read", "applications:submit", "parties:read", "parties:write"}),
    Role.OFFICER: _CHECKER,
    # The people who classify loans are not those who book the small ones every day.
    # Files of clear personal data leave the mesh: only roles that two administrators grant make them.
    Role.SENIOR_OFFICER: _CHECKER
    | {"loans:classify", "loans:confirm", "parties:export", "products:propose", "portfolio:rows"},
    Role.COMMITTEE: _CHECKER
    | {
        "loans:classify",
        "loans:confirm",
        "parties:export",
        "products:propose",
        "products:confirm",
        "portfolio:rows",
    },
    # People who neither apply for loans nor grant them record money. A role of the band confirms the records that need
    # two people.
    Role.SERVICING: frozenset(
        {
            "applications:read",
            "parties:read",
            "loans:service",
            "loans:confirm",
            "kpis:read",
            "lineage:read",
        }
    ),
    Role.AUDITOR: frozenset(
        {
            "applications:read",
            "parties:read",
            "audit:read",
            "users:read",
            "kpis:read",
            "portfolio:rows",
            "platform:read",
            "lineage:read",
        }
    ),
    # The rows behind a number name no person, and an analyst explains numbers.
    Role.ANALYST: frozenset({"applications:read", "kpis:read", "portfolio:rows", "lineage:read"}),
    # Administrators, who grant rights, read no customer data.
    Role.ADMINISTRATOR: frozenset(
        {"users:manage", "users:read", "audit:read", "platform:read", "lineage:read"}
    ),
    # The most that a program can be given. Programs never decide, book, or move money: no token can let them. Payments
    # that a program reports by Kafka are taken from the senders that the operator names in a setting of intake.
    # Lineage tells of jobs and columns, never of rows: what loads data says where they go.
    Role.SERVICE: frozenset(
        {
            "applications:read",
            "applications:submit",
            "parties:read",
            "parties:write",
            "lineage:read",
            "lineage:write",
        }
    ),
}


def scopes_of(roles: Iterable[Role]) -> frozenset[str]:
    """All scopes of these roles."""
    return frozenset().union(*(SCOPES[role] for role in roles))


def scopes_of_people(names: Iterable[str]) -> frozenset[str]:
    """All scopes of the roles with these names; raises ValueError for a name that no role of people has."""
    roles = [Role(name) for name in names]
    if unfit := set(roles) - OF_PEOPLE:
        raise ValueError(f"people cannot have the role {', '.join(sorted(unfit))}")
    return scopes_of(roles)
