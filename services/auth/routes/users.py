"""HTTP for users, the proposals of two administrators, and the audit events."""

from typing import Annotated, Any

from fastapi import Query, Response

from services.auth.accounts.audit import EventKind
from services.auth.domain import Account, Proposal, ProposalState
from services.auth.errors import (
    LastAdministrator,
    OwnAccount,
    PasswordTooWeak,
    ProposalNotFound,
    ProposalOutdated,
    ProposalSettled,
    SecondPersonNeeded,
    SessionEnded,
    UsernameTaken,
    UserNotFound,
)
from services.auth.routes.callers import Auth, By, Reader, Reviewer
from services.auth.schemas import (
    EventPage,
    EventView,
    NewUserBody,
    ProposalPage,
    ProposalView,
    UserChangeBody,
    UserPage,
    UserView,
)
from services.auth.service import utc_now
from services.chassis.web.identity import LoginTooOld
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.paging import AfterText, Cursor, CursorsDep, Limit
from services.chassis.web.problems import BadRequest, documented

_PROPOSED: dict[int | str, dict[str, Any]] = {
    202: {"model": ProposalView, "description": "Another administrator must confirm it."}
}

router = bounded_router()


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
    responses={**documented(LoginTooOld, UsernameTaken, PasswordTooWeak), **_PROPOSED},
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
    responses={
        **documented(LoginTooOld, UserNotFound, LastAdministrator, OwnAccount, PasswordTooWeak),
        **_PROPOSED,
    },
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
        LoginTooOld,
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
    responses=documented(LoginTooOld, ProposalNotFound, ProposalSettled),
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
