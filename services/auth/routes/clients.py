"""HTTP for administrators of service clients."""

from typing import Annotated

from fastapi import Query

from services.auth.clients.schemas import (
    ClientChangeBody,
    ClientPage,
    ClientView,
    NewClientBody,
    NewSecretBody,
    NewSecretView,
)
from services.auth.errors import (
    ClientDisabled,
    ClientNotFound,
    ClientTaken,
    ProposalOutdated,
    SecondPersonNeeded,
    SecretNotFound,
    SessionEnded,
)
from services.auth.routes.callers import Auth, By, Reader
from services.auth.service import utc_now
from services.chassis.web.identity import LoginTooOld
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.paging import Limit
from services.chassis.web.problems import documented

router = bounded_router(tags=["clients"])


@router.get("/clients", responses=documented(SessionEnded))
async def list_clients(
    auth: Auth,
    _: Reader,
    after: Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z0-9._-]*$")] = "",
    limit: Limit = 50,
) -> ClientPage:
    """List service clients by name."""
    found = await auth.clients.page(after=after, limit=limit + 1)
    page, now = found[:limit], utc_now()
    return ClientPage(
        items=[ClientView.of(one, now) for one in page],
        next=page[-1].name if len(found) > limit else None,
    )


@router.post("/clients", status_code=201, responses=documented(LoginTooOld, ClientTaken))
async def create_client(body: NewClientBody, auth: Auth, by: By) -> NewSecretView:
    """Add a service client. Its secret is shown once, and works after another administrator has confirmed it."""
    client, secret = await auth.clients.create(body.name, body.display_name, body.granted(), by=by)
    return NewSecretView.of(client, secret, utc_now())


@router.get("/clients/{client_id}", responses=documented(SessionEnded, ClientNotFound))
async def read_client(client_id: Identifier, auth: Auth, _: Reader) -> ClientView:
    """Read a service client."""
    return ClientView.of(await auth.clients.find(client_id), utc_now())


@router.patch("/clients/{client_id}", responses=documented(LoginTooOld, ClientNotFound))
async def change_client(client_id: Identifier, body: ClientChangeBody, auth: Auth, by: By) -> ClientView:
    """Disable a service client, which ends its secrets and tokens; or enable it, for a new secret."""
    return ClientView.of(await auth.clients.set_disabled(client_id, disabled=body.disabled, by=by), utc_now())


@router.post(
    "/clients/{client_id}/secrets",
    status_code=201,
    responses=documented(LoginTooOld, ClientNotFound, ClientDisabled),
)
async def replace_client_secret(
    client_id: Identifier, body: NewSecretBody, auth: Auth, by: By
) -> NewSecretView:
    """Issue another secret, shown once, with the same scopes or others.

    After another administrator has confirmed it, it replaces the one before.
    """
    client, secret = await auth.clients.replace_secret(client_id, body.granted(), by=by)
    return NewSecretView.of(client, secret, utc_now())


@router.post(
    "/clients/{client_id}/secrets/{secret_id}/confirmation",
    responses=documented(LoginTooOld, ClientNotFound, SecretNotFound, SecondPersonNeeded, ProposalOutdated),
)
async def confirm_client_secret(
    client_id: Identifier, secret_id: Identifier, auth: Auth, by: By
) -> ClientView:
    """Confirm a secret that another administrator issued. The one before ends, with its tokens."""
    return ClientView.of(await auth.clients.confirm(client_id, secret_id, by=by), utc_now())


@router.post(
    "/clients/{client_id}/secrets/{secret_id}/refusal",
    responses=documented(LoginTooOld, ClientNotFound, SecretNotFound),
)
async def refuse_client_secret(
    client_id: Identifier, secret_id: Identifier, auth: Auth, by: By
) -> ClientView:
    """Refuse a secret that waits, or withdraw your own."""
    return ClientView.of(await auth.clients.refuse(client_id, secret_id, by=by), utc_now())
