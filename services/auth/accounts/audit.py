"""The record of what happened in auth: who did what to whom, from where and in which trace. It is only added to."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from uuid import UUID

from opentelemetry import trace
from opentelemetry.trace import format_trace_id
from uuid_utils.compat import uuid7

from services.auth.tables import events
from services.chassis.database import ApplicationTransaction

SITE_PREFIX = 64
"""Whoever has one IPv6 address has all of its /64."""


class EventKind(StrEnum):
    """What can happen."""

    LOGIN_ACCEPTED = "login.accepted"
    LOGIN_REFUSED = "login.refused"
    LOGIN_LOCKED = "login.locked"
    LOGOUT = "logout"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - the name of an event
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    PROPOSED = "proposal.made"
    CONFIRMED = "proposal.confirmed"
    REFUSED = "proposal.refused"
    KEY_CREATED = "key.created"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: an IP address, None when it is not known."""

    address: str | None = None

    @property
    def network(self) -> str:
        """What attempts are counted by: the address, of IPv6 its /64."""
        try:
            address = ip_address(self.address or "")
        except ValueError:
            return "unknown"
        if isinstance(address, IPv6Address):
            if address.ipv4_mapped is not None:
                return str(address.ipv4_mapped)
            return str(ip_network((address, SITE_PREFIX), strict=False))
        return str(address)


NOWHERE = Origin()
"""Of what the platform's set-up does."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `details` never hold a secret."""

    id: UUID
    at: datetime
    kind: EventKind
    actor: UUID | None
    object: UUID | None
    name_sha256: bytes | None
    address: str | None
    trace_id: str | None
    details: Mapping[str, Any]


def name_digest(username: str) -> bytes:
    """The SHA-256 of a name as it was typed, cases alike: it may be no user's, and even a password."""
    return hashlib.sha256(username.lower().encode("utf-8", "replace")).digest()


async def record(
    tx: ApplicationTransaction,
    kind: EventKind,
    *,
    at: datetime,
    origin: Origin,
    actor: UUID | None = None,
    about: UUID | None = None,
    name: str | None = None,
    **details: Any,
) -> None:
    """Add an event, in the transaction that does what it says.

    Args:
        tx: the transaction.
        kind: what happened.
        at: when.
        origin: from where.
        actor: the user who did it; None for who is not logged in, and for commands of the set-up.
        about: the user, session, proposal or key that it was done to.
        name: of a failed login, the name that was typed; only its hash is kept.
        details: what else there is to say; JSON, and nothing secret.
    """
    context = trace.get_current_span().get_span_context()
    await tx.execute(
        events.insert().values(
            id=uuid7(),
            at=at,
            kind=kind,
            actor=actor,
            object=about,
            name_sha256=None if name is None else name_digest(name),
            address=origin.address,
            trace_id=format_trace_id(context.trace_id) if context.is_valid else None,
            details=details,
        )
    )
