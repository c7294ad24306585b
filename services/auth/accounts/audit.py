"""The audit record of auth: who did what to whom, from where and in which trace. It is append-only."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from opentelemetry import trace
from opentelemetry.trace import format_trace_id
from uuid_utils.compat import uuid7

from services.auth.tables import events
from services.chassis.database import ApplicationTransaction
from services.chassis.web.limits.addresses import network_of


class EventKind(StrEnum):
    """The kinds of audit events."""

    LOGIN_ACCEPTED = "login.accepted"
    LOGIN_REFUSED = "login.refused"
    LOGIN_LOCKED = "login.locked"
    LOGOUT = "logout"
    REFRESH_REUSED = "refresh.reused"
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the name of an event
    SESSION_ENDED = "session.ended"
    SESSIONS_ENDED = "session.all_ended"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - the name of an event
    RESET_ISSUED = "reset.issued"
    RESET_CONFIRMED = "reset.confirmed"
    RESET_REFUSED = "reset.refused"
    PASSWORD_RESET = "password.reset"  # noqa: S105 - the name of an event
    OTP_ENROLLED = "otp.enrolled"
    OTP_REFUSED = "otp.refused"
    OTP_REMOVED = "otp.removed"
    RECOVERY_CODES_RENEWED = "otp.recovery_codes_renewed"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    PROPOSED = "proposal.made"
    CONFIRMED = "proposal.confirmed"
    REFUSED = "proposal.refused"
    CLIENT_CREATED = "client.created"
    CLIENT_CHANGED = "client.changed"
    CLIENT_ACCEPTED = "client.accepted"
    CLIENT_REFUSED = "client.refused"
    SECRET_PROPOSED = "client.secret_made"  # noqa: S105 - the name of an event
    SECRET_CONFIRMED = "client.secret_confirmed"  # noqa: S105
    SECRET_REFUSED = "client.secret_refused"  # noqa: S105
    KEY_CREATED = "key.created"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: an IP address, None when it is not known."""

    address: str | None = None

    @property
    def network(self) -> str:
        """The key by which attempts are counted: the IPv4 address, or the /64 of an IPv6 address."""
        return network_of(self.address or "") or "unknown"


NOWHERE = Origin()
"""The origin of what the platform's set-up does."""


@dataclass(frozen=True, slots=True)
class Event:
    """One audit event; `details` never hold a secret."""

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
    """The SHA-256 of a name as it was typed, ignoring case. The text may be no user's name, or even a password."""
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
    """Add an event, in the same transaction as the change that it describes.

    Args:
        tx: the transaction.
        kind: the kind of event.
        at: the time of the event.
        origin: the client's address.
        actor: the user who did it; None for somebody who is not logged in, and for commands of the set-up.
        about: the user, session, proposal or key that was changed.
        name: for a failed login, the name that was typed; only its hash is stored.
        details: further details as JSON; nothing secret.
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
