"""HTTP in and out of the auth service."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, Form, Header, Query, Request, Response

from services.auth.domain import Account
from services.auth.errors import (
    InvalidCredentials,
    LastAdministrator,
    LoginLocked,
    OwnAccount,
    SessionEnded,
    UsernameTaken,
    UserNotFound,
    WrongPassword,
)
from services.auth.keys import KeyRing
from services.auth.schemas import (
    LoginForm,
    NewUserBody,
    OwnPasswordBody,
    RevocationList,
    TokenView,
    UserChangeBody,
    UserPage,
    UserView,
)
from services.auth.service import Users, utc_now
from services.auth.sessions import EndedSessions, Sessions
from services.chassis.body_limit import bounded_router
from services.chassis.identity import Caller, authenticated, require
from services.chassis.problems import Unavailable, documented

JWKS_MAX_AGE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the routes call."""

    users: Users
    sessions: Sessions
    ended: EndedSessions
    keys: KeyRing


def _use_cases(request: Request) -> UseCases:
    return cast("UseCases", request.app.state.use_cases)


Auth = Annotated[UseCases, Depends(_use_cases)]


async def _account(auth: Auth, caller: Annotated[Caller, Depends(authenticated)]) -> Account:
    return await auth.sessions.user_of(caller)


async def _administrator(auth: Auth, caller: Annotated[Caller, Depends(require("users:manage"))]) -> Account:
    return await auth.sessions.user_of(caller)


Me = Annotated[Account, Depends(_account)]
Administrator = Annotated[Account, Depends(_administrator)]

router = bounded_router()


@router.post("/token", responses=documented(InvalidCredentials, LoginLocked, Unavailable), tags=["sessions"])
async def log_in(form: Annotated[LoginForm, Form()], auth: Auth, response: Response) -> TokenView:
    """Exchange a user name and password for an access token."""
    issued = await auth.sessions.login(form.username, form.password.get_secret_value())
    # RFC 6749, 5.1: no cache may keep a token.
    response.headers["Cache-Control"] = "no-store"
    return TokenView.of(issued)


@router.post("/logout", status_code=204, responses=documented(SessionEnded), tags=["sessions"])
async def log_out(auth: Auth, caller: Annotated[Caller, Depends(authenticated)]) -> None:
    """End the session that the token belongs to. The other services refuse the token within 5 seconds."""
    await auth.sessions.logout(caller)


@router.get("/me", responses=documented(SessionEnded), tags=["sessions"])
async def me(account: Me) -> UserView:
    """The user whose token this is."""
    return UserView.of(account)


@router.put(
    "/me/password",
    status_code=204,
    responses=documented(SessionEnded, WrongPassword, LoginLocked),
    tags=["sessions"],
)
async def change_own_password(
    body: OwnPasswordBody, auth: Auth, caller: Annotated[Caller, Depends(authenticated)]
) -> None:
    """Replace your password; ends your other sessions."""
    await auth.sessions.change_password(
        caller, body.old_password.get_secret_value(), body.new_password.get_secret_value()
    )


@router.get("/users", responses=documented(SessionEnded), tags=["users"])
async def list_users(
    auth: Auth,
    _: Administrator,
    after: Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z0-9._-]*$")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> UserPage:
    """List users by name."""
    # One more than asked for tells whether there is a next page.
    accounts = await auth.users.page(after=after, limit=limit + 1)
    page = accounts[:limit]
    return UserPage(
        items=[UserView.of(account) for account in page],
        next=page[-1].username if len(accounts) > limit else None,
    )


@router.post("/users", status_code=201, responses=documented(UsernameTaken), tags=["users"])
async def create_user(body: NewUserBody, auth: Auth, _: Administrator) -> UserView:
    """Add a user."""
    return UserView.of(await auth.users.create(body.to_domain()))


@router.patch(
    "/users/{user_id}", responses=documented(UserNotFound, LastAdministrator, OwnAccount), tags=["users"]
)
async def change_user(user_id: UUID, body: UserChangeBody, auth: Auth, by: Administrator) -> UserView:
    """Change another user's roles, status or password; ends their sessions."""
    return UserView.of(await auth.users.change(user_id, body.to_domain(), by=by.id))


@router.get("/.well-known/jwks.json", responses=documented(Unavailable), tags=["keys"])
async def jwks(auth: Auth, response: Response) -> dict[str, list[dict[str, Any]]]:
    """The public keys that verify access tokens."""
    if auth.keys.is_empty:
        raise Unavailable("The signing keys could not be loaded yet; try again shortly.")
    response.headers["Cache-Control"] = f"public, max-age={JWKS_MAX_AGE_SECONDS}"
    now: datetime = utc_now()
    return auth.keys.jwks(now)


@router.get(
    "/revocations",
    response_model=RevocationList,
    responses={
        **documented(Unavailable),
        304: {"description": "The list is the one that If-None-Match names."},
    },
    tags=["keys"],
)
async def revocations(
    auth: Auth,
    if_none_match: Annotated[str | None, Header(description="The ETag of the last answer.")] = None,
) -> Response:
    """List the sessions that ended while tokens of theirs may still verify.

    Like the public keys it is for everybody who verifies tokens. A session's id says nothing about its user and opens
    nothing.
    """
    sids = await auth.ended.list()
    tag = f'"{hashlib.sha256(b"".join(sid.bytes for sid in sids)).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if if_none_match == tag:
        return Response(status_code=304, headers=headers)
    return Response(
        RevocationList(sids=list(sids)).model_dump_json(), headers=headers, media_type="application/json"
    )
