"""The use cases of makers: create parties; draft, submit and withdraw applications. Each is one transaction."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.intake import errors
from services.intake.bureau.service import Asking
from services.intake.documents.repository import DocumentRepository
from services.intake.domain import (
    Application,
    Content,
    Fault,
    NotADraft,
    Party,
    PartyDetails,
    PartyRole,
    Product,
    ProfileUnknown,
    RecordedParty,
    Sought,
    age_of,
    band_faults,
    borrower_faults,
    details_faults,
    limit_faults,
    party_faults,
)
from services.intake.idempotency import Answers, IdempotentRequest, Made
from services.intake.parties.national_ids import Confirmation, NationalIds
from services.intake.parties.repository import PartyRepository
from services.intake.parties.rights import check_change
from services.intake.parties.tags import PersonTags
from services.intake.repository import IntakeRepository
from services.intake.scorecard import score
from services.lake.database import Lake, LakeReader, LakeTransaction
from services.lake.domain.dates import today
from services.lake.domain.states import State, TransitionNotAllowed
from services.lake.errors import ActionNotAllowed, NoSuchApplication, StaleRevision
from services.lake.locks import lock_parties
from services.lake.metrics import APPLICATIONS


class Intake:
    """The use cases of intake over one lake."""

    def __init__(
        self,
        lake: Lake,
        repository: IntakeRepository,
        parties: PartyRepository,
        national_ids: NationalIds,
        tags: PersonTags,
        *,
        documents: DocumentRepository,
        zone: ZoneInfo,
        asking: Asking | None = None,
    ) -> None:
        """`zone`: whose calendar says how old a borrower is on the day of submission; `asking`: a credit bureau."""
        self._lake = lake
        self._zone = zone
        self._parties = parties
        self._national_ids = national_ids
        self._tags = tags
        self._documents = documents
        self._repository = repository
        self._asking = asking
        self._answers = Answers()

    async def add_party(
        self, details: PartyDetails, *, by: Caller, request: IdempotentRequest
    ) -> Made[RecordedParty]:
        """Put a party on record, unless this request did before; names those that may be the same.

        Raises RequestInFlight, IdempotencyKeyReused, NoSuchParty, ContentRefused, DuplicateNationalId, PartiesBusy.
        """
        async with self._lake.transaction(actor=str(by.id)) as tx:
            if earlier := await self._answers.earlier(tx, by.id, request):
                return earlier.shows(await self._new(tx, await self._party(tx, earlier.made_id, by), by))
            party = await self.put_party(tx, details, by=by)
            await self._answers.keep(tx, by.id, request, party, party.created_at)
            return Made(await self._new(tx, party, by))

    async def _new(self, reader: LakeReader, party: Party, by: Caller) -> RecordedParty:
        tags = self._tags.of(party.details)
        return RecordedParty(party, await self._parties.duplicates(reader, party.id, tags, by))

    async def find_parties(
        self, sought: Sought, after: Cursor | None, limit: int, *, by: Caller
    ) -> list[Party]:
        """At most `limit` parties with all that is sought which the caller sees unmasked; raises NothingSought."""
        tags = self._tags.of(sought)
        if not tags:
            raise errors.NothingSought
        async with self._lake.reading() as reader:
            return await self._parties.found(reader, tags, by, after, limit)

    async def put_party(self, tx: LakeTransaction, details: PartyDetails, *, by: Caller) -> Party:
        """Put a party on record as a part of a transaction; raises ContentRefused, DuplicateNationalId, PartiesBusy."""
        _refuse(details_faults(details))
        party = Party(uuid7(), details, by.id, datetime.now(UTC), 1)
        await self._parties.add_party(tx, party)
        await self._national_ids.record(tx, party.id, details.national_id, by.id)
        await self._tags.add(tx, party)
        return party

    async def confirm_national_id(
        self, national_id: str, reason: str, *, by: UUID, request: IdempotentRequest
    ) -> Made[Confirmation]:
        """Allow one more party with a national id, unless this request did before.

        Raises RequestInFlight, IdempotencyKeyReused, NothingToConfirm, PartiesBusy.
        """
        async with self._lake.transaction(actor=str(by)) as tx:
            if earlier := await self._answers.earlier(tx, by, request):
                return earlier.shows(await self._national_ids.confirmation(tx, earlier.made_id, national_id))
            confirmation = await self._national_ids.confirm(tx, national_id, reason, by)
            return await self._answers.keep(tx, by, request, confirmation, datetime.now(UTC))

    async def party(self, party_id: UUID, *, by: Caller) -> Party:
        """The party as the caller sees it; raises NoSuchParty."""
        async with self._lake.reading() as reader:
            return await self._party(reader, party_id, by)

    async def change_party(
        self, party_id: UUID, changes: dict[str, Any], *, expected: int, by: Caller
    ) -> Party:
        """Change the named details of a party.

        Raises NoSuchParty, PartyNotYours, PartyNeedsOfficer, StaleRevision, ContentRefused, DuplicateNationalId,
        PartiesBusy.
        """
        async with self._lake.transaction(actor=str(by.id)) as tx:
            # A decision or a booking compares this party with the submission; the lock makes one of them wait.
            await lock_parties(tx, [party_id])
            party = await self._party(tx, party_id, by, whole=True)
            check_change(party, await self._parties.party_uses(tx, party_id), by=by)
            if party.revision != expected:
                raise StaleRevision(expected)
            changed = replace(party, details=replace(party.details, **changes), revision=expected + 1)
            _refuse(details_faults(changed.details))
            if not await self._parties.change_party(tx, party_id, expected, changed.details):
                raise StaleRevision(expected)
            if "national_id" in changes:
                await self._national_ids.change(tx, party_id, changed.details.national_id, by.id)
            await self._tags.change(tx, changed)
        return changed

    async def products(self) -> list[Product]:
        """Every product that is on offer today, by code."""
        async with self._lake.reading() as reader:
            return await self._repository.products(reader, today(self._zone))

    async def application(self, application_id: UUID, *, by: Caller) -> Application:
        """The application as the caller sees it; raises NoSuchApplication."""
        async with self._lake.reading() as reader:
            return await self._application(reader, application_id, by)

    async def create(
        self,
        content: Content,
        *,
        submit: bool,
        by: Caller,
        request: IdempotentRequest,
    ) -> Made[Application]:
        """Create an application, submitted or as a draft, unless this request did before.

        The answer is kept in the same transaction as the application, so that a client who never saw it gets it again
        and no second application.

        Raises RequestInFlight, IdempotencyKeyReused, AnswerDeleted, ContentRefused.
        """
        async with self._lake.transaction(actor=str(by.id)) as tx:
            if earlier := await self._answers.earlier(tx, by.id, request):
                # The key is its caller's, and so is the application: who may still submit may still see it.
                return earlier.shows(await self._repository.application(tx, earlier.made_id, by))
            application = await self.put_application(tx, content, submit=submit, by=by)
            made = await self._answers.keep(tx, by.id, request, application, application.created_at)
        if submit:
            self.count_submitted()
        return made

    async def put_application(
        self, tx: LakeTransaction, content: Content, *, submit: bool, by: Caller
    ) -> Application:
        """Create an application as a part of a transaction, after which `count_submitted` is called for it.

        Raises ContentRefused.
        """
        at = datetime.now(UTC)
        await self._check(tx, content, by)
        application = Application.drafted(uuid7(), content, by=by.id, at=at)
        if submit:
            application = replace(await self._submitted(tx, application, at, by), revision=1)
        await self._repository.add(tx, application)
        if submit:
            await self._add_version(tx, application, at)
        await self._repository.add_event(tx, application, None, by.id, at)
        return application

    def count_submitted(self, applications: int = 1) -> None:
        """Count what was submitted, after the commit, and have the bureau asked."""
        if applications:
            APPLICATIONS.labels(State.SUBMITTED).inc(applications)
            if self._asking is not None:
                self._asking.submitted()

    async def save_draft(
        self, application_id: UUID, content: Content, *, expected: int, by: Caller
    ) -> Application:
        """Replace the draft; raises as `submit` does, and ContentRefused."""
        async with self._changing(application_id, expected=expected, by=by) as (tx, application):
            changed = application.edited(content)
            await self._check(tx, content, by)
            await self._write(tx, changed, expected)
        return changed

    async def submit(self, application_id: UUID, *, expected: int, by: Caller) -> Application:
        """Submit the draft, or else the returned version again, as a new version with its own score.

        Raises NoSuchApplication, NotTheMaker, StaleRevision, ActionNotAllowed, ContentRefused.
        """
        async with self._changing(application_id, expected=expected, by=by) as (tx, application):
            at = datetime.now(UTC)
            # Limits may have changed since the draft was saved.
            await self._check(tx, application.content, by)
            changed = await self._submitted(tx, application, at, by)
            await self._write(tx, changed, expected)
            await self._add_version(tx, changed, at)
            await self._repository.add_event(tx, changed, application.state, by.id, at)
        self.count_submitted()
        return changed

    async def withdraw(self, application_id: UUID, *, expected: int, by: Caller) -> Application:
        """Withdraw the application; raises NoSuchApplication, NotTheMaker, StaleRevision, ActionNotAllowed."""
        async with self._changing(application_id, expected=expected, by=by) as (tx, application):
            changed = application.withdrawn()
            await self._write(tx, changed, expected)
            await self._repository.add_event(tx, changed, application.state, by.id, datetime.now(UTC))
        APPLICATIONS.labels(State.WITHDRAWN).inc()
        return changed

    async def delete_draft(self, application_id: UUID, *, expected: int, by: Caller) -> None:
        """Withdraw an application that was never submitted, clear its content, and delete its documents.

        Raises NoSuchApplication, NotTheMaker, StaleRevision, NoDraft, DocumentsBusy.
        """
        async with self._changing(application_id, expected=expected, by=by) as (tx, application):
            try:
                deleted = application.deleted()
            except NotADraft as reason:
                raise errors.NoDraft(reason.state) from None
            # A document that is being added would stay behind.
            await self._documents.lock(tx, application_id)
            await self._documents.delete(tx, application_id)
            await self._write(tx, deleted, expected)
            await self._repository.add_event(tx, deleted, application.state, by.id, datetime.now(UTC))
        APPLICATIONS.labels(State.WITHDRAWN).inc()

    @asynccontextmanager
    async def _changing(
        self, application_id: UUID, *, expected: int, by: Caller
    ) -> AsyncIterator[tuple[LakeTransaction, Application]]:
        async with self._lake.transaction(actor=str(by.id)) as tx:
            application = await self._application(tx, application_id, by)
            if application.created_by != by.id:
                raise errors.NotTheMaker
            if application.revision != expected:
                raise StaleRevision(expected)
            try:
                yield tx, application
            except TransitionNotAllowed as reason:
                raise ActionNotAllowed(reason) from None

    async def _add_version(self, tx: LakeTransaction, submitted: Application, at: datetime) -> None:
        await self._repository.add_version(tx, submitted, at)
        if self._asking is not None and submitted.current_version is not None:
            await self._asking.about(tx, submitted.id, submitted.current_version, at)

    async def _write(self, tx: LakeTransaction, changed: Application, expected: int) -> None:
        # The revision was compared when it was read. This comparison also detects a change that was committed
        # since then.
        if not await self._repository.change(tx, changed, expected):
            raise StaleRevision(expected)

    async def _check(self, reader: LakeReader, content: Content, by: Caller) -> None:
        faults = list(party_faults(content.parties))
        product = await self._repository.product(reader, content.product_code, today(self._zone))
        if product is None:
            faults.append(
                Fault("/product_code", "there is no such product on offer; GET /products lists them")
            )
        else:
            faults.extend(limit_faults(content, product))
        named = [one.party_id for one in content.parties]
        missing = await self._parties.missing_parties(reader, named, by)
        faults.extend(
            Fault(f"/parties/{index}/party_id", "there is no such party; put it on record first")
            for index, one in enumerate(content.parties)
            if one.party_id in missing
        )
        _refuse(faults)

    async def _submitted(
        self, reader: LakeReader, application: Application, at: datetime, by: Caller
    ) -> Application:
        """As the next version, whose content was checked; raises TransitionNotAllowed, ContentRefused."""
        content = application.content
        scored = score(content.profile, content.term_months)
        # Check first whether it can be submitted at all.
        submitted = application.submitted(scored, None, at)
        borrower = next(one.party_id for one in content.parties if one.role is PartyRole.BORROWER)
        details = (await self._party(reader, borrower, by, whole=True)).details
        day = at.astimezone(self._zone).date()
        bands = await self._repository.bands(reader, content.currency, at)
        _refuse([*borrower_faults(content, details, day), *band_faults(content, bands)])
        return replace(submitted, age_years=age_of(details, day))

    async def _party(self, reader: LakeReader, party_id: UUID, by: Caller, *, whole: bool = False) -> Party:
        party = await self._parties.party(reader, party_id, by, whole=whole)
        if party is None:
            raise errors.NoSuchParty(party_id)
        return party

    async def _application(self, reader: LakeReader, application_id: UUID, by: Caller) -> Application:
        try:
            application = await self._repository.application(reader, application_id, by)
        except ProfileUnknown:
            raise errors.ImportedWithoutProfile(application_id) from None
        if application is None:
            raise NoSuchApplication(application_id)
        return application


def _refuse(faults: Iterable[Fault]) -> None:
    if found := list(faults):
        raise errors.ContentRefused(found)
