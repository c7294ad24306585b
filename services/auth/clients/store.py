"""The SQL of service clients and their secrets."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.auth.clients.model import Client, Secret
from services.auth.tables import client_secrets, clients
from services.chassis.database import ApplicationReader, ApplicationTransaction

_secret = client_secrets.c


async def add_client(tx: ApplicationTransaction, new: Client) -> None:
    """Insert a client without its secrets; raises sqlalchemy's IntegrityError when the name is taken."""
    values = asdict(new)
    del values["secrets"]
    await tx.execute(clients.insert().values(values))


async def add_secret(tx: ApplicationTransaction, new: Secret) -> None:
    """Insert a secret."""
    await tx.execute(client_secrets.insert().values({**asdict(new), "scopes": sorted(new.scopes)}))


async def lock_client(tx: ApplicationTransaction, client_id: UUID) -> Client | None:
    """The client of this id, locked against changes until the transaction ends."""
    await tx.execute(sa.select(clients.c.id).where(clients.c.id == client_id).with_for_update())
    return await get_client(tx, client_id)


async def get_client(db: ApplicationReader, client_id: UUID) -> Client | None:
    """The client of this id."""
    row = (await db.execute(sa.select(clients).where(clients.c.id == client_id))).mappings().one_or_none()
    return None if row is None else (await _with_secrets(db, [row]))[0]


async def list_clients(db: ApplicationReader, *, after: str, limit: int) -> list[Client]:
    """The first `limit` clients whose names, in lower case, come after `after`."""
    name = sa.func.lower(clients.c.name)
    page = sa.select(clients).where(name > after.lower()).order_by(name).limit(limit)
    return await _with_secrets(db, (await db.execute(page)).mappings())


async def set_disabled(tx: ApplicationTransaction, client_id: UUID, *, disabled: bool) -> None:
    """Disable or enable a client."""
    await tx.execute(clients.update().where(clients.c.id == client_id).values(disabled=disabled))


async def confirm(tx: ApplicationTransaction, secret_id: UUID, by: UUID, at: datetime) -> None:
    """Let a secret work."""
    mine = client_secrets.update().where(_secret.id == secret_id)
    await tx.execute(mine.values(confirmed_by=by, confirmed_at=at))


async def revoke(tx: ApplicationTransaction, ended: Iterable[Secret], at: datetime) -> None:
    """End these secrets, and the tokens that they got."""
    ids = [one.id for one in ended]
    mine = client_secrets.update().where(_secret.id.in_(ids), _secret.revoked_at.is_(None))
    await tx.execute(mine.values(revoked_at=at))


async def active(
    db: ApplicationReader, *, secret_sha256: bytes | None = None, secret_id: UUID | None = None
) -> tuple[Client, Secret] | None:
    """The secret with this digest, or this id, and its client; None unless it works now."""
    which = _secret.secret_sha256 == secret_sha256 if secret_id is None else _secret.id == secret_id
    query = (
        sa.select(client_secrets, *(column.label(f"of_{column.name}") for column in clients.c))
        .join(clients, clients.c.id == _secret.client_id)
        .where(
            which,
            _secret.confirmed_at.is_not(None),
            _secret.revoked_at.is_(None),
            sa.not_(clients.c.disabled),
        )
    )
    row = (await db.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    client = Client(**{column.name: row[f"of_{column.name}"] for column in clients.c})
    return client, _secret_of({column.name: row[column.name] for column in _secret})


async def ended_secrets(db: ApplicationReader, ended_after: datetime) -> list[UUID]:
    """The ids of the secrets that worked and were revoked later than `ended_after`."""
    query = sa.select(_secret.id).where(_secret.revoked_at > ended_after, _secret.confirmed_at.is_not(None))
    return list((await db.execute(query)).scalars())


async def _with_secrets(db: ApplicationReader, rows: Iterable[Mapping[Any, Any]]) -> list[Client]:
    found = [Client(**row) for row in rows]
    query = (
        sa.select(client_secrets)
        .where(_secret.client_id.in_([one.id for one in found]), _secret.revoked_at.is_(None))
        .order_by(_secret.proposed_at)
    )
    own: dict[UUID, list[Secret]] = {one.id: [] for one in found}
    for row in (await db.execute(query)).mappings():
        own[row["client_id"]].append(_secret_of(row))
    return [replace(one, secrets=tuple(own[one.id])) for one in found]


def _secret_of(row: Mapping[Any, Any]) -> Secret:
    return Secret(**{**row, "scopes": frozenset(row["scopes"])})
