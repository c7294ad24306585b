"""The use cases of administrators for service clients; each is a transaction.

Whoever issues a secret knows it and could act as the program, which reads customers that no administrator reads. So
a secret works only after another administrator has confirmed it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from services.auth import repository
from services.auth.accounts.audit import EventKind, record
from services.auth.accounts.users import Actor
from services.auth.clients import store
from services.auth.clients.model import Client, Secret, SecretState, digest, new_secret
from services.auth.errors import (
    ClientDisabled,
    ClientNotFound,
    ClientTaken,
    ProposalOutdated,
    SecondPersonNeeded,
    SecretNotFound,
)
from services.auth.service import utc_now
from services.chassis.database import ApplicationDatabase, ApplicationTransaction
from services.chassis.web.problems import Unprocessable


class Clients:
    """Creating, listing and disabling service clients, and replacing their secrets."""

    def __init__(
        self,
        database: ApplicationDatabase,
        *,
        proposal_lifetime: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`proposal_lifetime`: how long a new secret can be confirmed; `clock` tells the time."""
        self._database = database
        self._proposal_lifetime = proposal_lifetime
        self._clock = clock

    async def create(
        self, name: str, display_name: str, scopes: frozenset[str], *, by: Actor
    ) -> tuple[Client, str]:
        """Add a client, and its first secret, which is returned and waits; raises ClientTaken."""
        now = self._clock()
        client = Client(uuid7(), name, display_name, False, by.id, now)
        try:
            async with self._database.transaction() as tx:
                await store.add_client(tx, client)
                await self._record(tx, EventKind.CLIENT_CREATED, client.id, by, now)
                secret = await self._propose(tx, client, scopes, by, now)
                return await _read(tx, client.id), secret
        except IntegrityError:
            raise ClientTaken(f"Choose another name than {name}.") from None

    async def replace_secret(
        self, client_id: UUID, scopes: frozenset[str] | None, *, by: Actor
    ) -> tuple[Client, str]:
        """Issue another secret, which waits; one that waits already ends. Without `scopes` they stay as they are.

        Raises ClientNotFound, ClientDisabled.
        """
        now = self._clock()
        async with self._database.transaction() as tx:
            client = await _locked(tx, client_id)
            if client.disabled:
                raise ClientDisabled("Enable it first.")
            given = frozenset[str]().union(*(one.scopes for one in client.secrets if one.confirmed_at))
            await store.revoke(tx, (one for one in client.secrets if one.confirmed_at is None), now)
            if scopes is None and not given:
                detail = "name the scopes: no secret works whose scopes it could have"
                raise Unprocessable(
                    "Say what the client may do.", errors=[{"pointer": "/body/scopes", "detail": detail}]
                )
            secret = await self._propose(tx, client, given if scopes is None else scopes, by, now)
            return await _read(tx, client_id), secret

    async def confirm(self, client_id: UUID, secret_id: UUID, *, by: Actor) -> Client:
        """Let a secret that another administrator issued work, and end the one before, with its tokens.

        Raises ClientNotFound, SecretNotFound when it does not wait, SecondPersonNeeded, ProposalOutdated.
        """
        now = self._clock()
        async with self._database.transaction() as tx:
            administrators = await repository.lock_administrators(tx)
            client = await _locked(tx, client_id)
            secret = _waiting(client, secret_id, now)
            if by.id == secret.proposed_by or by.id not in administrators:
                raise SecondPersonNeeded("Ask an administrator who did not issue it.")
            if secret.proposed_by not in administrators:
                raise ProposalOutdated("The proposer is no longer an administrator; issue another secret.")
            await store.revoke(tx, (one for one in client.secrets if one.id != secret_id), now)
            await store.confirm(tx, secret_id, by.id, now)
            await self._record(
                tx,
                EventKind.SECRET_CONFIRMED,
                client_id,
                by,
                now,
                secret=str(secret_id),
                scopes=sorted(secret.scopes),
            )
            return await _read(tx, client_id)

    async def refuse(self, client_id: UUID, secret_id: UUID, *, by: Actor) -> Client:
        """End a secret that waits; raises ClientNotFound, SecretNotFound."""
        now = self._clock()
        async with self._database.transaction() as tx:
            client = await _locked(tx, client_id)
            await store.revoke(tx, [_waiting(client, secret_id, now)], now)
            await self._record(tx, EventKind.SECRET_REFUSED, client_id, by, now, secret=str(secret_id))
            return await _read(tx, client_id)

    async def set_disabled(self, client_id: UUID, *, disabled: bool, by: Actor) -> Client:
        """Disable a client, which ends its secrets and tokens, or enable it, for a new secret; ClientNotFound.

        One administrator can do both: a program that leaks must be stopped at once, and an enabled one has no secret.
        """
        now = self._clock()
        async with self._database.transaction() as tx:
            client = await _locked(tx, client_id)
            if client.disabled != disabled:
                await store.set_disabled(tx, client_id, disabled=disabled)
                await store.revoke(tx, client.secrets, now)
                await self._record(tx, EventKind.CLIENT_CHANGED, client_id, by, now, disabled=disabled)
            return await _read(tx, client_id)

    async def page(self, *, after: str, limit: int) -> list[Client]:
        """At most `limit` clients after the name `after`, in the order of their names."""
        async with self._database.reading() as db:
            return await store.list_clients(db, after=after, limit=limit)

    async def find(self, client_id: UUID) -> Client:
        """The client of this id; raises ClientNotFound."""
        async with self._database.reading() as db:
            client = await store.get_client(db, client_id)
        if client is None:
            raise _unknown(client_id)
        return client

    async def _propose(
        self, tx: ApplicationTransaction, client: Client, scopes: frozenset[str], by: Actor, now: datetime
    ) -> str:
        text = new_secret()
        secret = Secret(
            id=uuid7(),
            client_id=client.id,
            secret_sha256=digest(text),
            scopes=scopes,
            proposed_by=by.id,
            proposed_at=now,
            expires_at=now + self._proposal_lifetime,
        )
        await store.add_secret(tx, secret)
        await self._record(
            tx, EventKind.SECRET_PROPOSED, client.id, by, now, secret=str(secret.id), scopes=sorted(scopes)
        )
        return text

    async def _record(
        self,
        tx: ApplicationTransaction,
        kind: EventKind,
        client_id: UUID,
        by: Actor,
        now: datetime,
        **details: Any,
    ) -> None:
        await record(tx, kind, at=now, origin=by.origin, actor=by.id, about=client_id, **details)


async def _locked(tx: ApplicationTransaction, client_id: UUID) -> Client:
    client = await store.lock_client(tx, client_id)
    if client is None:
        raise _unknown(client_id)
    return client


async def _read(tx: ApplicationTransaction, client_id: UUID) -> Client:
    client = await store.get_client(tx, client_id)
    if client is None:
        raise _unknown(client_id)
    return client


def _waiting(client: Client, secret_id: UUID, now: datetime) -> Secret:
    for secret in client.secrets:
        if secret.id == secret_id and secret.state(now) is SecretState.WAITING:
            return secret
    raise SecretNotFound(f"No secret of this client that waits has the id {secret_id}.")


def _unknown(client_id: UUID) -> ClientNotFound:
    return ClientNotFound(f"No client has the id {client_id}.")
