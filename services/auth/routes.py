"""HTTP in and out of the auth service."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, cast

from fastapi import Depends, Form, Header, Query, Request, Response

from services.auth.accounts.audit import EventKind, Origin
from services.auth.accounts.users import Actor, Users
from services.auth.domain import Account, Proposal, ProposalState
from services.auth.errors import (
    InvalidCredentials,
    LastAdministrator,
    LoginLocked,
    OwnAccount,
    PasswordTooWeak,
    ProposalNotFound,
    ProposalOutdated,
    ProposalSettled,
    SecondPersonNeeded,
    SessionEnded,
    UsernameTaken,
    UserNotFound,
    WrongPassword,
)
from services.auth.schemas import (
    EventPage,
    EventView,
    LoginForm,
    NewUserBody,
    OwnPasswordBody,
    ProposalPage,
    ProposalView,
    RevocationList,
    TokenView,
    UserChangeBody,
    UserPage,
    UserView,
)
from services.auth.service import utc_now
from services.auth.tokens.keys import KeyRing
from services.auth.tokens.sessions import EndedSessions, Sessions
from services.chassis.web.identity import Caller, authenticated, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.paging import AfterText, Cursor, CursorsDep, Limit
from services.chassis.web.problems import BadRequest, Unavailable, documented

JWKS_MAX_AGE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases that the routes call."""

    users: Users
    sessions: Sessions
    ended: EndedSessions
    keys: KeyRing


def _use_cases(request: Request) -> UseCases:
    return cast("UseCases", request.app.state.use_cases)


def _origin(request: Request) -> Origin:
    return Origin(request.client.host if request.client else None)


Auth = Annotated[UseCases, Depends(_use_cases)]
From = Annotated[Origin, Depends(_origin)]


async def _account(auth: Auth, caller: Annotated[Caller, Depends(authenticated)]) -> Account:
    return await auth.sessions.user_of(caller)


async def _administrator(auth: Auth, caller: Annotated[Caller, Depends(require("users:manage"))]) -> Account:
    return await auth.sessions.user_of(caller)


Me = Annotated[Account, Depends(_account)]
Administrator = Annotated[Account, Depends(_administrator)]


async def _acting(administrator: Administrator, origin: From) -> Actor:
    return Actor(administrator.id, origin)


async def _reader(auth: Auth, caller: Annotated[Caller, Depends(require("users:read"))]) -> Account:
    return await auth.sessions.user_of(caller)


async def _reviewer(auth: Auth, caller: Annotated[Caller, Depends(require("audit:read"))]) -> Account:
    return await auth.sessions.user_of(caller)


By = Annotated[Actor, Depends(_acting)]
Reader = Annotated[Account, Depends(_reader)]
Reviewer = Annotated[Account, Depends(_reviewer)]

_PROPOSED: dict[int | str, dict[str, Any]] = {
    202: {"model": ProposalView, "description": "Another administrator must confirm it."}
}

router = bounded_router()


@router.post("/token", responses=documented(InvalidCredentials, LoginLocked, Unavailable), tags=["sessions"])
async def log_in(
    form: Annotated[LoginForm, Form()], auth: Auth, origin: From, response: Response
) -> TokenView:
    """Exchange a user name and password for an access token."""
    issued = await auth.sessions.login(form.username, form.password.get_secret_value(), origin)
    # RFC 6749, 5.1: no cache may keep a token.
    response.headers["Cache-Control"] = "no-store"
    return TokenView.of(issued)


@router.post("/logout", status_code=204, responses=documented(SessionEnded), tags=["sessions"])
async def log_out(auth: Auth, caller: Annotated[Caller, Depends(authenticated)], origin: From) -> None:
    """End the session that the token belongs to. The other services refuse the token within 5 seconds."""
    await auth.sessions.logout(caller, origin)


@router.get("/me", responses=documented(SessionEnded), tags=["sessions"])
async def me(account: Me) -> UserView:
    """The user whose token this is."""
    return UserView.of(account)


@router.put(
    "/me/password",
    status_code=204,
    responses=documented(SessionEnded, WrongPassword, LoginLocked, PasswordTooWeak),
    tags=["sessions"],
)
async def change_own_password(
    body: OwnPasswordBody, auth: Auth, caller: Annotated[Caller, Depends(authenticated)], origin: From
) -> None:
    """Replace your password; ends your other sessions."""
    await auth.sessions.change_password(
        caller, body.old_password.get_secret_value(), body.new_password.get_secret_value(), origin
    )


@router.get("/users", responses=documented(SessionEnded), tags=["users"])
async def list_users(
    auth: Auth,
    _: Reader,
    after: Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z0-9._-]*$")] = "",
    limit: Limit = 50,
) -> UserPage:
    """List users by name."""
    # Read one more than requested to know whether there is a next page.
    accounts = await auth.users.page(after=after, limit=limit + 1)
    page = accounts[:limit]
    return UserPage(
        items=[UserView.of(account) for account in page],
        next=page[-1].username if len(accounts) > limit else None,
    )


@router.post(
    "/users",
    status_code=201,
    response_model=UserView,
    responses={**documented(UsernameTaken, PasswordTooWeak), **_PROPOSED},
    tags=["users"],
)
async def create_user(body: NewUserBody, auth: Auth, by: By) -> Any:
    """Add a user, who must change the password at the first login.

    With a role that decides, moves money or grants rights it becomes a proposal (202), which another administrator
    confirms.
    """
    return _done_or_proposed(await auth.users.create(body.to_domain(), by=by))


@router.patch(
    "/users/{user_id}",
    response_model=UserView,
    responses={**documented(UserNotFound, LastAdministrator, OwnAccount, PasswordTooWeak), **_PROPOSED},
    tags=["users"],
)
async def change_user(user_id: Identifier, body: UserChangeBody, auth: Auth, by: By) -> Any:
    """Change another user's roles, status or password; ends their sessions.

    A password, and a role that decides, moves money or grants rights, become a proposal (202), which another
    administrator confirms.
    """
    return _done_or_proposed(await auth.users.change(user_id, body.to_domain(), by=by))


@router.get("/proposals", responses=documented(SessionEnded, BadRequest), tags=["proposals"])
async def list_proposals(
    auth: Auth,
    _: Reader,
    cursors: CursorsDep,
    state: ProposalState | None = None,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> ProposalPage:
    """List proposals, settled ones included, newest first."""
    found = await auth.users.proposals(state, cursors.start(after), limit + 1)
    page, now = found[:limit], utc_now()
    more = Cursor(page[-1].proposed_at, page[-1].id) if len(found) > limit else None
    return ProposalPage(items=[ProposalView.of(one, now) for one in page], next=cursors.next(more))


@router.get(
    "/proposals/{proposal_id}", responses=documented(SessionEnded, ProposalNotFound), tags=["proposals"]
)
async def read_proposal(proposal_id: Identifier, auth: Auth, _: Reader) -> ProposalView:
    """Read a proposal."""
    return ProposalView.of(await auth.users.proposal(proposal_id), utc_now())


@router.post(
    "/proposals/{proposal_id}/confirmation",
    responses=documented(
        ProposalNotFound,
        ProposalSettled,
        ProposalOutdated,
        SecondPersonNeeded,
        UsernameTaken,
        LastAdministrator,
    ),
    tags=["proposals"],
)
async def confirm_proposal(proposal_id: Identifier, auth: Auth, by: By) -> ProposalView:
    """Confirm a proposal of another administrator and carry it out; its subject cannot confirm it."""
    return ProposalView.of(await auth.users.confirm(proposal_id, by=by), utc_now())


@router.post(
    "/proposals/{proposal_id}/refusal",
    responses=documented(ProposalNotFound, ProposalSettled),
    tags=["proposals"],
)
async def refuse_proposal(proposal_id: Identifier, auth: Auth, by: By) -> ProposalView:
    """Refuse a proposal, or withdraw your own."""
    return ProposalView.of(await auth.users.refuse(proposal_id, by=by), utc_now())


@router.get("/events", responses=documented(SessionEnded, BadRequest), tags=["audit"])
async def list_events(  # noqa: PLR0917 - FastAPI passes by name
    auth: Auth,
    _: Reviewer,
    cursors: CursorsDep,
    kind: Annotated[list[EventKind], Query(description="Any of these kinds.")] = [],  # noqa: B006 - read only
    user: Annotated[Identifier | None, Query(description="Who did it, or to whom it was done.")] = None,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> EventPage:
    """List logins, failed logins and changes of users, newest first."""
    found = await auth.users.events(kind, user, cursors.start(after), limit + 1)
    page = found[:limit]
    more = Cursor(page[-1].at, page[-1].id) if len(found) > limit else None
    return EventPage(items=[EventView.of(one) for one in page], next=cursors.next(more))


def _done_or_proposed(done: Account | Proposal) -> UserView | Response:
    if isinstance(done, Account):
        return UserView.of(done)
    body = ProposalView.of(done, utc_now()).model_dump_json()
    headers = {"Location": f"/proposals/{done.id}"}
    return Response(body, 202, headers, "application/json")


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
    """List the ended sessions whose tokens may not have expired yet.

    Like the public keys, the list is public for everybody who verifies tokens. A session's id says nothing about its
    user and gives no access.
    """
    sids = await auth.ended.list()
    tag = f'"{hashlib.sha256(b"".join(sid.bytes for sid in sids)).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if if_none_match == tag:
        return Response(status_code=304, headers=headers)
    return Response(
        RevocationList(sids=list(sids)).model_dump_json(), headers=headers, media_type="application/json"
    )
