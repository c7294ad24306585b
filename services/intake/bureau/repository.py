"""All SQL of the bureau: who is asked about, and the kept answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from services.intake.bureau.domain import (
    LARGEST_ANSWER_CHARACTERS,
    BureauRequest,
    Outcome,
    Person,
    Reason,
)
from services.lake.database import LakeReader, LakeTransaction
from services.lake.domain.states import State
from services.lake.tables import application, application_version_party, bureau_report, bureau_request

INSERT_REPORT = sa.insert(bureau_report)
_KEY = ("application_id", "version", "party_id")
_OPEN = frozenset({State.SUBMITTED, State.IN_REVIEW})
_SETTLED = ("outcome", "reason", "attempts", "next_attempt_at", "report_id", "answered_at")


@dataclass(frozen=True, slots=True)
class DueRequest:
    """A request that an attempt is made at; `is_needed` says whether its version still waits for a decision."""

    request: BureauRequest
    person: Person
    is_needed: bool


def insert_requests(application_id: UUID, version: int, provider: str, at: datetime) -> sa.Insert:
    """Have the bureau asked about every person of a version, once each."""
    frozen = application_version_party.c
    request = bureau_request.c
    constants = {
        "outcome": Outcome.WAITING,
        "provider": provider,
        "requested_at": at,
        "attempts": 0,
        "next_attempt_at": at,
    }
    people = (
        sa.select(
            *(frozen[name] for name in _KEY),
            *(sa.literal(value, request[name].type) for name, value in constants.items()),
        )
        .where(frozen.application_id == application_id, frozen.version == version, frozen.kind == "person")
        .distinct()
    )
    return sa.insert(bureau_request).from_select([*_KEY, *constants], people)


def select_due(now: datetime, limit: int) -> sa.Select[Any]:
    """Read the requests that are due, with the person as submitted and the application as it is."""
    request, frozen = bureau_request, application_version_party
    other = application_version_party.alias("other_part")
    # Somebody may have several parts in an application, with the same details: one of them is enough.
    first = (
        sa.select(sa.func.min(other.c.role))
        .where(*(other.c[name] == request.c[name] for name in _KEY))
        .scalar_subquery()
    )
    return (
        sa.select(
            request,
            frozen.c.full_name,
            frozen.c.birth_date,
            frozen.c.national_id,
            application.c.state,
            application.c.current_version,
        )
        .join_from(request, application, application.c.id == request.c.application_id)
        .join(frozen, sa.and_(*(frozen.c[name] == request.c[name] for name in _KEY), frozen.c.role == first))
        .where(request.c.next_attempt_at <= now)
        .order_by(request.c.next_attempt_at, *(request.c[name] for name in _KEY))
        .limit(limit)
    )


def select_unanswered() -> sa.Select[Any]:
    """Count the requests that the bureau has not answered and that are made again."""
    return (
        sa.select(sa.func.count())
        .select_from(bureau_request)
        # Only those that wait: by their index.
        .where(bureau_request.c.next_attempt_at.is_not(None), bureau_request.c.reason == Reason.NO_ANSWER)
    )


def update_request(seen: datetime, written: BureauRequest) -> sa.Update:
    """Write a request unless somebody else has made an attempt since it was `seen` with this next attempt."""
    return (
        sa.update(bureau_request)
        .where(
            *(bureau_request.c[name] == getattr(written, name) for name in _KEY),
            bureau_request.c.next_attempt_at == seen,
        )
        .values({name: getattr(written, name) for name in _SETTLED})
    )


def select_raw(report_id: UUID) -> sa.Select[Any]:
    """Read a kept answer."""
    return sa.select(bureau_report.c.raw_response).where(bureau_report.c.id == report_id)


class BureauRepository:
    """Reads and writes the bureau's part of the lake, always in the caller's transaction; has no state."""

    async def request(
        self, tx: LakeTransaction, application_id: UUID, version: int, provider: str, at: datetime
    ) -> None:
        """Have the bureau asked about every person of a version that was just submitted."""
        await tx.execute(insert_requests(application_id, version, provider, at))

    async def due(self, reader: LakeReader, now: datetime, limit: int) -> list[DueRequest]:
        """At most `limit` requests that are due."""
        return [_due(row) for row in (await reader.execute(select_due(now, limit))).mappings()]

    async def unanswered(self, reader: LakeReader) -> int:
        """How many requests wait because the bureau did not answer."""
        return int(await reader.scalar(select_unanswered()))

    async def write(self, tx: LakeTransaction, seen: datetime, written: BureauRequest) -> bool:
        """Write a request; False when somebody else has made an attempt since it was `seen`."""
        return (await tx.execute(update_request(seen, written))).rowcount == 1

    async def keep_answer(
        self, tx: LakeTransaction, request: BureauRequest, provider: str, raw: str, at: datetime
    ) -> UUID:
        """Keep an answer as it came, before anybody reads what it says; gives its id.

        Every answer goes through here and comes back through `answer`, so that both can seal it.
        """
        report_id = uuid7()
        await tx.execute(
            INSERT_REPORT,
            {
                "id": report_id,
                "application_id": request.application_id,
                "party_id": request.party_id,
                "provider": provider,
                # PostgreSQL's text cannot hold NUL.
                "raw_response": raw[:LARGEST_ANSWER_CHARACTERS].replace("\0", "\ufffd"),
                "received_at": at,
            },
        )
        return report_id

    async def answer(self, reader: LakeReader, report_id: UUID) -> str:
        """A kept answer."""
        raw: str = await reader.scalar(select_raw(report_id))
        return raw


def _due(row: sa.RowMapping) -> DueRequest:
    request = BureauRequest(
        application_id=row["application_id"],
        version=row["version"],
        party_id=row["party_id"],
        outcome=Outcome(row["outcome"]),
        reason=Reason(row["reason"]) if row["reason"] else None,
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"],
        report_id=row["report_id"],
        answered_at=row["answered_at"],
    )
    person = Person(row["party_id"], row["full_name"], row["birth_date"], row["national_id"])
    is_needed = row["state"] in _OPEN and row["current_version"] == row["version"]
    return DueRequest(request, person, is_needed)


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement on the bureau that intake can run."""
    some = UUID(int=1)
    at = datetime.fromisoformat("2000-01-01T00:00:00Z")
    yield INSERT_REPORT
    yield insert_requests(some, 1, "simulated", at)
    yield select_due(at, 1)
    yield select_unanswered()
    yield update_request(at, BureauRequest(some, 1, some, Outcome.FOUND, None, 1, None, some, at))
    yield select_raw(some)
