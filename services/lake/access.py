"""Which rows of the lake, and of its replica, a caller may see: one function per resource, each a SQL condition.

Every query that answers a person has one of these conditions, so that rows that a caller may not see do not exist for
the caller: 404, and never 403, which would reveal that the row exists. A caller has the rights of all their roles.
Programs all have one role; what they see depends on their scopes.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.chassis.web.identity import Caller
from services.lake.domain.roles import CHECKERS, Personal, Role, scopes_of
from services.lake.tables import application, application_party, loan, party

_EVERYTHING = frozenset({Role.AUDITOR})
_SUBMITTED = CHECKERS | {Role.ANALYST}
SEE_LESS = frozenset({Role.AUDITOR, Role.ANALYST, Role.SERVICE})
"""Roles that may see applications without all of their parties' personal data."""
_SEE_CLEARLY = CHECKERS | {Role.MAKER, Role.SERVICING}
# Made once: each makes copies of all columns of its table.
_LOAN_ORIGIN = application.alias("loan_origin")
_VISIBLE_PART = application_party.alias("visible_part")
_VISIBLE_APPLICATION = application.alias("visible_application")
_VISIBLE_LOAN = loan.alias("visible_loan")
_SUBMIT, _READ = "applications:submit", "applications:read"
_READ_PARTIES, _WRITE_PARTIES = "parties:read", "parties:write"


def applications(caller: Caller, of: sa.FromClause = application) -> sa.ColumnElement[bool]:
    """The condition on `of`, the table of applications or an alias of it, that `caller` may see the row."""
    return _applications(caller, caller.roles, of)


def loans(caller: Caller, of: sa.FromClause = loan) -> sa.ColumnElement[bool]:
    """The condition on `of`, the table of loans or an alias of it: a caller who sees the application sees its loan."""
    return sa.exists().where(_LOAN_ORIGIN.c.id == of.c.application_id, applications(caller, _LOAN_ORIGIN))


def parties(caller: Caller, of: sa.FromClause = party) -> sa.ColumnElement[bool]:
    """The condition on `of`, the table of parties or an alias of it, that `caller` may see the row, masked or clear."""
    if Role.AUDITOR in caller.roles:
        return sa.true()
    return clear_parties(caller, of)


def clear_parties(caller: Caller, of: sa.FromClause = party) -> sa.ColumnElement[bool]:
    """The condition on `of` that `caller` sees the row's personal data unmasked: parties of their own work."""
    part, where = _VISIBLE_PART, _VISIBLE_APPLICATION
    clear = _clear_roles(caller)
    on_something = (
        sa.exists().where(
            part.c.party_id == of.c.id,
            where.c.id == part.c.application_id,
            _applications(caller, clear, where),
        )
        # Joined to nothing otherwise: SQLAlchemy leaves the other conditions of a false one out.
        if clear
        else sa.false()
    )
    if Role.MAKER in caller.roles or (
        Role.SERVICE in caller.roles and caller.scopes & {_SUBMIT, _WRITE_PARTIES}
    ):
        return sa.or_(of.c.created_by == caller.id, on_something)
    return on_something


def clear_applications(caller: Caller, of: sa.FromClause = application) -> sa.ColumnElement[bool]:
    """The condition on `of` that `caller` sees the personal data of the application's parties unmasked."""
    return _applications(caller, _clear_roles(caller), of)


def personal(caller: Caller, of: sa.FromClause = application) -> sa.ColumnElement[int]:
    """The expression on `of` for how much of its parties' data `caller` sees: a value of `Personal`."""
    otherwise = Personal.MASKED if Role.AUDITOR in caller.roles else Personal.HIDDEN
    return sa.case(
        (clear_applications(caller, of), sa.literal(int(Personal.CLEAR))), else_=sa.literal(int(otherwise))
    )


def shown(details: Mapping[str, Any], level: int) -> dict[str, Any]:
    """A party's `details`, by column name, masked as the given `Personal` level requires."""
    if level >= Personal.CLEAR:
        return dict(details)
    change = _MASKS if level == Personal.MASKED else dict.fromkeys([*_MASKS, "full_name"], _nothing)
    return {name: change[name](value) if name in change else value for name, value in details.items()}


def may_read_draft(caller: Caller, created_by: UUID) -> bool:
    """Whether `caller` may read the saved, unsubmitted draft of an application's maker."""
    return created_by == caller.id or Role.AUDITOR in caller.roles


def examples() -> tuple[Caller, ...]:
    """One caller for each role; services build the examples of their statements for them."""
    return tuple(Caller(UUID(int=1), role, frozenset({role}), scopes_of([role])) for role in Role)


def _clear_roles(caller: Caller) -> frozenset[str]:
    programs = {Role.SERVICE} if _READ_PARTIES in caller.scopes else set[Role]()
    return caller.roles & (_SEE_CLEARLY | programs)


def _applications(caller: Caller, roles: Iterable[str], of: sa.FromClause) -> sa.ColumnElement[bool]:
    held = frozenset(roles)
    if held & _EVERYTHING:
        return sa.true()
    conditions: list[sa.ColumnElement[bool]] = []
    if held & _SUBMITTED or (Role.SERVICE in held and caller.scopes & {_READ, _READ_PARTIES}):
        conditions.append(of.c.submitted_at.is_not(None))
    elif Role.SERVICING in held:
        conditions.append(sa.exists().where(_VISIBLE_LOAN.c.application_id == of.c.id))
    if Role.MAKER in held or (Role.SERVICE in held and _SUBMIT in caller.scopes):
        conditions.append(of.c.created_by == caller.id)
    return sa.or_(*conditions) if conditions else sa.false()


def _end(value: str | None) -> str | None:
    # The last characters of a short value would reveal most of it.
    return None if value is None else "•••" + (value[-3:] if len(value) >= 8 else "")


def _address(value: str | None) -> str | None:
    return None if value is None else f"{value[:1]}•••@{value.rpartition('@')[2]}"


def _nothing(_: Any) -> None:
    return None


_MASKS: Mapping[str, Any] = {
    "birth_date": _nothing,
    "national_id": _end,
    "email": _address,
    "phone": _end,
}
