"""The auth service's use cases for users and for proposals that two administrators settle; each is a transaction."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from services.auth import repository
from services.auth.accounts import ledger
from services.auth.accounts.audit import NOWHERE, Event, EventKind, Origin, record
from services.auth.accounts.passwords import Passwords
from services.auth.domain import (
    Account,
    NewUser,
    Proposal,
    ProposalKind,
    ProposalState,
    UserChange,
    takes_two,
)
from services.auth.errors import (
    LastAdministrator,
    OwnAccount,
    ProposalNotFound,
    ProposalOutdated,
    ProposalSettled,
    SecondPersonNeeded,
    UsernameTaken,
    UserNotFound,
)
from services.auth.service import utc_now
from services.chassis.database import ApplicationDatabase, ApplicationTransaction
from services.chassis.web.paging import Cursor


@dataclass(frozen=True, slots=True)
class Actor:
    """The acting administrator and the client's address."""

    id: UUID
    origin: Origin


class Users:
    """Adding, changing and listing users; a change that needs two people becomes a proposal."""

    def __init__(
        self,
        database: ApplicationDatabase,
        passwords: Passwords,
        *,
        proposal_lifetime: timedelta = timedelta(hours=72),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`proposal_lifetime`: how long a proposal can be confirmed; `clock` returns the time."""
        self._database = database
        self._passwords = passwords
        self._proposal_lifetime = proposal_lifetime
        self._clock = clock

    async def add(self, new: NewUser) -> Account:
        """Add a user without a second person. For the platform's set-up; the API does not offer it.

        Raises UsernameTaken, PasswordTooWeak.
        """
        account = await self._account(new)
        async with self._adding(new.username) as tx:
            await self._insert(tx, account, actor=None, origin=NOWHERE)
        return account

    async def create(self, new: NewUser, *, by: Actor) -> Account | Proposal:
        """Add a user, or propose it when a role needs a second person; raises UsernameTaken, PasswordTooWeak."""
        account = await self._account(new)
        if not takes_two(None, UserChange(roles=new.roles)):
            async with self._adding(new.username) as tx:
                await self._insert(tx, account, actor=by.id, origin=by.origin)
            return account
        async with self._database.transaction() as tx:
            if await repository.find_user(tx, new.username) is not None:
                raise _taken(new.username)
            return await self._propose(
                tx, account, None, UserChange(roles=new.roles), account.password_hash, by=by
            )

    async def change(self, user_id: UUID, change: UserChange, *, by: Actor) -> Account | Proposal:
        """Change a user and end all their sessions, or propose the change when it needs a second person.

        Raises UserNotFound; OwnAccount when administrators would change themselves; LastAdministrator when none
        would be left; PasswordTooWeak.
        """
        if user_id == by.id:
            raise OwnAccount("Another administrator must do this; PUT /me/password changes your password.")
        new_hash = None
        if change.password is not None:
            new_hash = await self._new_hash(user_id, change.password)
        async with self._database.transaction() as tx:
            administrators = await repository.lock_administrators(tx)
            before = await repository.lock_for_change(tx, user_id)
            if before is None:
                raise _unknown(user_id)
            if takes_two(before, change):
                return await self._propose(tx, before, before, change, new_hash, by=by)
            after = _changed(before, change)
            _keep_an_administrator(before, after, administrators)
            await self._update(tx, before, after, by=by)
        return after

    async def confirm(self, proposal_id: UUID, *, by: Actor) -> Proposal:
        """Confirm what another administrator proposed, and carry it out.

        Raises ProposalNotFound, SecondPersonNeeded, ProposalSettled, ProposalOutdated, UsernameTaken,
        LastAdministrator.
        """
        now = self._clock()
        async with self._adding("that of the proposal") as tx:
            administrators = await repository.lock_administrators(tx)
            proposal = await self._waiting(tx, proposal_id, now)
            if by.id in {proposal.proposed_by, proposal.user_id} or by.id not in administrators:
                raise SecondPersonNeeded("Ask an administrator who neither proposed it nor is its subject.")
            if proposal.proposed_by not in administrators:
                raise ProposalOutdated("The proposer is no longer an administrator; propose it again.")
            # This deletes the stored password; `proposal` still holds it. Constraints repeat the checks above.
            await ledger.confirm_proposal(tx, proposal_id, by.id, now)
            await _record_settled(tx, EventKind.CONFIRMED, proposal, by, now)
            if proposal.kind is ProposalKind.CREATE:
                await self._insert(tx, _proposed(proposal, now), actor=by.id, origin=by.origin)
            else:
                await self._apply(tx, proposal, administrators, by=by)
        return replace(proposal, confirmed_by=by.id, confirmed_at=now, password_hash=None)

    async def refuse(self, proposal_id: UUID, *, by: Actor) -> Proposal:
        """Refuse a proposal, or withdraw one's own; raises ProposalNotFound, ProposalSettled."""
        now = self._clock()
        async with self._database.transaction() as tx:
            proposal = await self._waiting(tx, proposal_id, now)
            await ledger.refuse_proposal(tx, proposal_id, by.id, now)
            await _record_settled(tx, EventKind.REFUSED, proposal, by, now)
        return replace(proposal, refused_by=by.id, refused_at=now, password_hash=None)

    async def proposal(self, proposal_id: UUID) -> Proposal:
        """The proposal of this id; raises ProposalNotFound."""
        async with self._database.reading() as db:
            found = await ledger.get_proposal(db, proposal_id)
        if found is None:
            raise ProposalNotFound(f"No proposal has the id {proposal_id}.")
        return found

    async def proposals(
        self, state: ProposalState | None, after: Cursor | None, limit: int
    ) -> list[Proposal]:
        """At most `limit` proposals after `after`, newest first."""
        async with self._database.reading() as db:
            return await ledger.list_proposals(db, state, self._clock(), after, limit)

    async def events(
        self, kinds: Sequence[EventKind], user: UUID | None, after: Cursor | None, limit: int
    ) -> list[Event]:
        """At most `limit` events after `after`, newest first: of these kinds, by or about this user."""
        async with self._database.reading() as db:
            return await ledger.list_events(db, kinds=kinds, user=user, after=after, limit=limit)

    async def page(self, *, after: str, limit: int) -> list[Account]:
        """At most `limit` users after the name `after`, in the order of their names."""
        async with self._database.reading() as db:
            return await repository.list_users(db, after=after, limit=limit)

    async def find(self, username: str) -> Account | None:
        """The user of this name, or None."""
        async with self._database.reading() as db:
            return await repository.find_user(db, username)

    @asynccontextmanager
    async def _adding(self, username: str) -> AsyncGenerator[ApplicationTransaction]:
        try:
            async with self._database.transaction() as tx:
                yield tx
        except IntegrityError:
            raise _taken(username) from None

    async def _account(self, new: NewUser) -> Account:
        await self._passwords.judge(new.password, (new.username, new.display_name), pointer="/body/password")
        return Account(
            id=uuid7(),
            username=new.username,
            display_name=new.display_name,
            password_hash=await self._passwords.hash(new.password),
            roles=new.roles,
            disabled=False,
            created_at=self._clock(),
            must_change_password=new.must_change_password,
        )

    async def _new_hash(self, user_id: UUID, password: str) -> str:
        async with self._database.reading() as db:
            account = await repository.get_user(db, user_id)
        if account is None:
            raise _unknown(user_id)
        await self._passwords.judge(
            password, (account.username, account.display_name), pointer="/body/password"
        )
        return await self._passwords.hash(password)

    async def _insert(
        self, tx: ApplicationTransaction, account: Account, *, actor: UUID | None, origin: Origin
    ) -> None:
        await repository.add_user(tx, account)
        await record(
            tx,
            EventKind.USER_CREATED,
            at=self._clock(),
            origin=origin,
            actor=actor,
            about=account.id,
            roles=sorted(account.roles),
        )

    async def _update(
        self, tx: ApplicationTransaction, before: Account, after: Account, *, by: Actor
    ) -> None:
        await repository.update_user(tx, after)
        if after == before:
            return
        now = self._clock()
        await repository.revoke_sessions_of(tx, before.id, now)
        await record(
            tx,
            EventKind.USER_CHANGED,
            at=now,
            origin=by.origin,
            actor=by.id,
            about=before.id,
            roles_before=sorted(before.roles),
            roles=sorted(after.roles),
            disabled=after.disabled,
            password_set=after.password_hash != before.password_hash,
        )

    async def _propose(
        self,
        tx: ApplicationTransaction,
        account: Account,
        before: Account | None,
        change: UserChange,
        password_hash: str | None,
        *,
        by: Actor,
    ) -> Proposal:
        now = self._clock()
        proposal = Proposal(
            id=uuid7(),
            kind=ProposalKind.CREATE if before is None else ProposalKind.CHANGE,
            user_id=account.id,
            username=account.username,
            display_name=account.display_name,
            roles_before=before.roles if before else None,
            disabled_before=before.disabled if before else None,
            roles=change.roles,
            disabled=change.disabled,
            sets_password=password_hash is not None,
            password_hash=password_hash,
            proposed_by=by.id,
            proposed_at=now,
            expires_at=now + self._proposal_lifetime,
        )
        await ledger.add_proposal(tx, proposal)
        await record(
            tx,
            EventKind.PROPOSED,
            at=now,
            origin=by.origin,
            actor=by.id,
            about=account.id,
            proposal=str(proposal.id),
            roles=None if change.roles is None else sorted(change.roles),
            disabled=change.disabled,
            sets_password=proposal.sets_password,
        )
        return proposal

    async def _waiting(self, tx: ApplicationTransaction, proposal_id: UUID, now: datetime) -> Proposal:
        proposal = await ledger.get_proposal(tx, proposal_id, lock=True)
        if proposal is None:
            raise ProposalNotFound(f"No proposal has the id {proposal_id}.")
        state = proposal.state(now)
        if state is not ProposalState.PENDING:
            raise ProposalSettled(f"It is {state}.")
        return proposal

    async def _apply(
        self, tx: ApplicationTransaction, proposal: Proposal, administrators: frozenset[UUID], *, by: Actor
    ) -> None:
        before = await repository.lock_for_change(tx, proposal.user_id)
        if before is None or (before.roles, before.disabled) != (
            proposal.roles_before,
            proposal.disabled_before,
        ):
            raise ProposalOutdated("The user has changed since it was proposed; propose it again.")
        after = _changed(before, UserChange(proposal.roles, proposal.disabled))
        if proposal.password_hash is not None:
            after = replace(after, password_hash=proposal.password_hash, must_change_password=True)
            await repository.clear_failures(tx, before.username)
        _keep_an_administrator(before, after, administrators)
        await self._update(tx, before, after, by=by)


async def _record_settled(
    tx: ApplicationTransaction, kind: EventKind, proposal: Proposal, by: Actor, now: datetime
) -> None:
    await record(
        tx,
        kind,
        at=now,
        origin=by.origin,
        actor=by.id,
        about=proposal.user_id,
        proposal=str(proposal.id),
        proposed_by=str(proposal.proposed_by),
    )


def _changed(before: Account, change: UserChange) -> Account:
    return replace(
        before,
        roles=before.roles if change.roles is None else change.roles,
        disabled=before.disabled if change.disabled is None else change.disabled,
    )


def _proposed(proposal: Proposal, now: datetime) -> Account:
    return Account(
        id=proposal.user_id,
        username=proposal.username,
        display_name=proposal.display_name,
        password_hash=proposal.password_hash or "",
        roles=proposal.roles or frozenset(),
        disabled=False,
        created_at=now,
        must_change_password=True,
    )


def _keep_an_administrator(before: Account, after: Account, administrators: frozenset[UUID]) -> None:
    if before.administers and not after.administers and administrators <= {before.id}:
        raise LastAdministrator("Make another user an administrator first.")


def _taken(username: str) -> UsernameTaken:
    return UsernameTaken(f"Choose another name than {username}.")


def _unknown(user_id: UUID) -> UserNotFound:
    return UserNotFound(f"No user has the id {user_id}.")
