"""SQL of intake: products, and applications with their versions and events."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from pydantic import TypeAdapter
from uuid_utils.compat import uuid7

from services.chassis.web.identity import Caller
from services.intake.domain import (
    MAKER_ROLE,
    AmountBand,
    Application,
    Channel,
    Content,
    Participant,
    PartyRole,
    Product,
    Profile,
    ProfileUnknown,
    Reason,
    Score,
)
from services.lake import access, bands
from services.lake.database import LakeReader, LakeTransaction
from services.lake.domain.states import State
from services.lake.parameters import parameters_on
from services.lake.tables import (
    application,
    application_event,
    application_party,
    application_version,
    application_version_party,
    approval_band,
    party,
    product,
)

_CONTENT = TypeAdapter(Content)
_PROFILE = TypeAdapter(Profile)
_REASONS = TypeAdapter(tuple[Reason, ...])

INSERT_APPLICATION = sa.insert(application)
INSERT_VERSION = sa.insert(application_version)
INSERT_EVENT = sa.insert(application_event)


EXISTS = sa.or_(
    application.c.current_version.is_not(None),
    application.c.draft.is_not(None),
    application.c.migrated == sa.true(),
)
"""The condition that an application was not deleted: a deleted draft keeps its row, for its events and for the readers
of changes, and has no content any more."""


def insert_version_parties(application_id: UUID, version: int) -> sa.Insert:
    """Store the application's current parties with the version."""
    frozen = ("kind", "full_name", "birth_date", "national_id")
    source = (
        sa.select(
            application_party.c.application_id,
            sa.literal(version, sa.Integer),
            application_party.c.party_id,
            application_party.c.role,
            *(party.c[name] for name in frozen),
            party.c.revision,
            sa.literal("submitted", application_version_party.c.origin.type),
        )
        .join_from(application_party, party, party.c.id == application_party.c.party_id)
        .where(application_party.c.application_id == application_id)
    )
    columns = ("application_id", "version", "party_id", "role", *frozen, "party_revision", "origin")
    return sa.insert(application_version_party).from_select(columns, source)


# Each application needs it, with the same day: to build the statement takes longer than to run it.
@lru_cache(maxsize=4)
def select_products(day: date) -> sa.Select[Any]:
    """Read the products that have parameters on `day`, by code."""
    valid = parameters_on(day)
    columns = [valid.c[name] if name in valid.c else product.c[name] for name in Product.__dataclass_fields__]
    return (
        sa.select(*columns)
        .join_from(product, valid, valid.c.product_code == product.c.code)
        .order_by(product.c.code)
    )


def select_product(code: str, day: date) -> sa.Select[Any]:
    """Read one product, if it has parameters on `day`."""
    return select_products(day).where(product.c.code == code)


def select_bands(currency: str, at: datetime) -> sa.Select[Any]:
    """Read the amounts of a currency that somebody can approve when they are submitted `at`."""
    band = approval_band.c
    return (
        sa.select(band.amount_from, band.amount_below)
        .where(band.currency == currency, bands.counting(at))
        .distinct()
        .order_by(band.amount_from)
    )


def select_application(application_id: UUID, caller: Caller) -> sa.Select[Any]:
    """Read one application with its current version, if it has one and `caller` may see it."""
    version = application_version
    return (
        sa.select(
            application,
            *(
                column.label(f"version_{column.name}")
                for column in version.columns
                if column.name not in ("application_id", "version")
            ),
        )
        .select_from(
            application.outerjoin(
                version,
                sa.and_(
                    version.c.application_id == application.c.id,
                    version.c.version == application.c.current_version,
                ),
            )
        )
        .where(application.c.id == application_id, access.applications(caller), EXISTS)
    )


def select_participants(application_id: UUID) -> sa.Select[Any]:
    """Read who takes part in the submitted application."""
    return (
        sa.select(application_party.c.party_id, application_party.c.role)
        .where(application_party.c.application_id == application_id)
        .order_by(application_party.c.role, application_party.c.party_id)
    )


def delete_participant(application_id: UUID, one: Participant) -> sa.Delete:
    """Remove one part from the application."""
    return sa.delete(application_party).where(
        application_party.c.application_id == application_id,
        application_party.c.party_id == one.party_id,
        application_party.c.role == one.role,
    )


def insert_participants(application_id: UUID, participants: Sequence[Participant]) -> sa.Insert:
    """Add parts to the application, all in one statement."""
    return sa.insert(application_party).values(
        [
            {"application_id": application_id, "party_id": one.party_id, "role": one.role}
            for one in participants
        ]
    )


def update_application(application_id: UUID, expected_revision: int, **values: Any) -> sa.Update:
    """Change an application if it still is at `expected_revision`."""
    return (
        sa.update(application)
        .where(application.c.id == application_id, application.c.revision == expected_revision)
        .values(**values, revision=expected_revision + 1)
    )


class IntakeRepository:
    """Reads and writes intake's part of the lake, always in the caller's transaction; has no state."""

    async def products(self, reader: LakeReader, day: date) -> list[Product]:
        """Every product that is on offer on `day`, by code."""
        return [Product(**row) for row in (await reader.execute(select_products(day))).mappings()]

    async def product(self, reader: LakeReader, code: str, day: date) -> Product | None:
        """The product, or None when it is not on offer on `day`."""
        row = (await reader.execute(select_product(code, day))).mappings().first()
        return None if row is None else Product(**row)

    async def bands(self, reader: LakeReader, currency: str, at: datetime) -> list[AmountBand]:
        """The bands of a currency that count `at`, by amount."""
        return [AmountBand(**row) for row in (await reader.execute(select_bands(currency, at))).mappings()]

    async def application(
        self, reader: LakeReader, application_id: UUID, caller: Caller
    ) -> Application | None:
        """The application as `caller` sees it, or None; only the maker sees an unsubmitted draft.

        Raises:
            ProfileUnknown: it was imported without a profile, and has no draft.
        """
        row = (await reader.execute(select_application(application_id, caller))).mappings().first()
        if row is None:
            return None
        reads_draft = row["draft"] is not None and access.may_read_draft(caller, row["created_by"])
        if reads_draft:
            content = _CONTENT.validate_json(row["draft"])
        else:
            content = _content(row, await self._participants(reader, application_id))
        score = None
        if row["version_score"] is not None:
            score = Score(row["version_score"], _REASONS.validate_json(row["version_score_reasons"]))
        return Application(
            id=row["id"],
            state=State(row["state"]),
            current_version=row["current_version"],
            revision=row["revision"],
            content=content,
            has_draft=reads_draft,
            score=score,
            age_years=_age_years(row["version_profile"]),
            created_by=row["created_by"],
            created_at=row["created_at"],
            submitted_at=row["submitted_at"],
            decided_at=row["decided_at"],
        )

    async def add(self, tx: LakeTransaction, new: Application) -> None:
        """Insert a new application; its draft is kept unless it is submitted at once."""
        await tx.execute(
            INSERT_APPLICATION,
            {
                "id": new.id,
                "state": new.state,
                "current_version": new.current_version,
                "revision": new.revision,
                "draft": _draft(new),
                "created_by": new.created_by,
                "created_at": new.created_at,
                "submitted_at": new.submitted_at,
                "decided_at": None,
            },
        )

    async def change(self, tx: LakeTransaction, changed: Application, expected_revision: int) -> bool:
        """Update an application; False when it is no longer at `expected_revision`."""
        done = await tx.execute(
            update_application(
                changed.id,
                expected_revision,
                state=changed.state,
                current_version=changed.current_version,
                draft=_draft(changed),
                submitted_at=changed.submitted_at,
            )
        )
        return done.rowcount == 1

    async def add_version(self, tx: LakeTransaction, submitted: Application, at: datetime) -> None:
        """Insert the immutable version that `submitted` is now at, with its parties, who become the application's."""
        content, score = submitted.content, submitted.score
        if score is None or submitted.current_version is None:
            raise ValueError(f"application {submitted.id} has no version and score to write")
        await tx.execute(
            INSERT_VERSION,
            {
                "application_id": submitted.id,
                "version": submitted.current_version,
                "product_code": content.product_code,
                "amount": content.amount,
                "currency": content.currency,
                "term_months": content.term_months,
                "purpose": content.purpose,
                "channel": content.channel,
                "maker": submitted.created_by,
                "profile": _profile(content.profile, submitted.age_years),
                "score": score.points,
                "score_reasons": _REASONS.dump_json(score.reasons).decode(),
                "submitted_at": at,
            },
        )
        old: set[Participant] = set()
        if submitted.current_version > 1:
            old = set(await self._participants(tx, submitted.id))
        for one in old.difference(content.parties):
            await tx.execute(delete_participant(submitted.id, one))
        if added := [one for one in content.parties if one not in old]:
            await tx.execute(insert_participants(submitted.id, added))
        await tx.execute(insert_version_parties(submitted.id, submitted.current_version))

    async def _participants(self, reader: LakeReader, application_id: UUID) -> tuple[Participant, ...]:
        rows = (await reader.execute(select_participants(application_id))).mappings()
        return tuple(Participant(row["party_id"], PartyRole(row["role"])) for row in rows)

    async def add_event(
        self, tx: LakeTransaction, changed: Application, from_state: State | None, actor: UUID, at: datetime
    ) -> None:
        """Record that the application came into its state."""
        await tx.execute(
            INSERT_EVENT,
            {
                "id": uuid7(),
                "application_id": changed.id,
                "version": changed.current_version,
                "from_state": from_state,
                "to_state": changed.state,
                "actor": actor,
                "role": MAKER_ROLE,
                "reason_code": None,
                "comment": None,
                "occurred_at": at,
            },
        )


def _draft(of: Application) -> str | None:
    # The content of a submitted application is its version; a draft could contradict it.
    return _CONTENT.dump_json(of.content).decode() if of.has_draft else None


def _profile(profile: Profile, age_years: int | None) -> str:
    # With the age, by which the version was submitted, for those who decide on it.
    return orjson.dumps({**_PROFILE.dump_python(profile), "age_years": age_years}).decode()


def _age_years(profile: str | None) -> int | None:
    # It may be missing in a version that another program wrote.
    found = orjson.loads(profile).get("age_years") if profile is not None else None
    return found if isinstance(found, int) else None


def _content(row: sa.RowMapping, participants: tuple[Participant, ...]) -> Content:
    if row["version_profile"] is None:
        raise ProfileUnknown
    return Content(
        product_code=row["version_product_code"],
        amount=row["version_amount"],
        currency=row["version_currency"],
        term_months=row["version_term_months"],
        purpose=row["version_purpose"],
        channel=Channel(row["version_channel"]),
        parties=participants,
        profile=_PROFILE.validate_json(row["version_profile"]),
    )


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement that intake can run."""
    some = UUID(int=1)
    one = Participant(some, PartyRole.BORROWER)
    yield from (INSERT_APPLICATION, INSERT_VERSION, INSERT_EVENT)
    yield insert_version_parties(some, 1)
    for caller in access.examples():
        yield select_application(some, caller)
    yield select_products(date.min)
    yield select_product("CODE", date.min)
    yield select_bands("EUR", datetime.min.replace(tzinfo=UTC))
    yield select_participants(some)
    yield delete_participant(some, one)
    yield insert_participants(some, [one])
    yield update_application(some, 1, state=State.DRAFT, current_version=1, draft=None, submitted_at=None)
