"""The use cases of claims: claim, renew, take over, release."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from services.approval.cases import Clock, utc_now
from services.approval.claims.domain import Claim, Claimant, claimed
from services.approval.claims.errors import ClaimBusy
from services.approval.claims.repository import ClaimRepository
from services.approval.domain import ClaimedByAnother, DecisionRefused, Hold
from services.approval.errors import problem
from services.approval.repository import ApprovalRepository
from services.chassis.engines import is_transient
from services.chassis.telemetry.logging import get_logger
from services.chassis.web.identity import Caller
from services.lake.database import Lake, LakeTransaction
from services.lake.domain.states import Action, State, TransitionNotAllowed
from services.lake.errors import NoSuchApplication

LOCK_WAIT_SECONDS = 5

_log = get_logger(__name__)


class Claims:
    """The claims on the applications of one lake."""

    def __init__(
        self,
        lake: Lake,
        cases: ApprovalRepository,
        repository: ClaimRepository,
        length: timedelta,
        now: Clock = utc_now,
    ) -> None:
        """`cases` reads applications; `length` is how long a claim lasts without activity; `now` is its clock."""
        self._lake = lake
        self._cases = cases
        self._repository = repository
        self._length = length
        self._now = now

    async def claim(self, application_id: UUID, reason: str | None, *, by: Caller) -> Claim:
        """Claim an application for the caller; with a `reason` also from somebody else.

        Raises NoSuchApplication, ActionNotAllowed, MakerCannotDecide, StageNotYours, DecidedAlready, NoBandApplies,
        ClaimedByAnother, TakeOverNotYours, ClaimBusy.
        """
        async with self._lake.transaction(actor=str(by.id)) as tx:
            # Of two officers the second waits here, then sees the claim of the first.
            if not await tx.try_lock(f"claim:{application_id}", LOCK_WAIT_SECONDS):
                raise ClaimBusy
            now = self._now()
            row = await self._cases.application(tx, application_id, by, now)
            if row is None:
                raise NoSuchApplication(application_id)
            case = await self._cases.case(tx, row)
            if case is None:
                raise problem(TransitionNotAllowed(State(row["state"]), Action.REVIEW))
            held = await self._repository.claim(tx, application_id)
            try:
                made = claimed(case, held, Claimant(by.id, by.roles, reason), now, self._length)
            except (DecisionRefused, TransitionNotAllowed) as refused:
                raise problem(refused) from None
            await self._repository.write(tx, made)
        if made.taken_from is not None and made.claimed_at == now:
            _log.info(
                "claim taken over",
                application_id=str(application_id),
                claimed_by=str(by.id),
                taken_from=str(made.taken_from),
            )
        return made

    async def release(self, application_id: UUID, *, by: Caller) -> None:
        """End the caller's claim; nothing is done where nobody has one.

        Raises NoSuchApplication, ClaimedByAnother, ClaimBusy.
        """
        async with self._lake.transaction(actor=str(by.id)) as tx:
            if not await tx.try_lock(f"claim:{application_id}", LOCK_WAIT_SECONDS):
                raise ClaimBusy
            now = self._now()
            row = await self._cases.application(tx, application_id, by, now)
            if row is None:
                raise NoSuchApplication(application_id)
            held = await self._repository.claim(tx, application_id)
            if held is None or not held.counts(row["revision"], now):
                return
            if held.claimed_by != by.id:
                raise problem(ClaimedByAnother(held.hold))
            await self._repository.end(tx, application_id)

    async def renew(self, application_id: UUID, hold: Hold | None, *, by: Caller) -> Hold | None:
        """Renew the caller's claim because of their activity; gives the claim as it then is.

        It is written only after half of its time. A lake that cannot be written at the moment keeps it as it is: the
        caller only reads.
        """
        now = self._now()
        if hold is None or hold.by != by.id or hold.until - now > self._length / 2:
            return hold
        until = now + self._length
        try:
            async with self._lake.transaction(actor=str(by.id)) as tx:
                renewed = await self._repository.extend(tx, application_id, by.id, now=now, until=until)
        except DBAPIError as error:
            if not is_transient(error):
                raise
            _log.warning("a claim could not be renewed", error=type(error).__name__)
            return hold
        return Hold(by.id, until) if renewed else None

    async def end(self, tx: LakeTransaction, application_id: UUID) -> None:
        """End whoever's claim in the transaction of a decision."""
        await self._repository.end(tx, application_id)
