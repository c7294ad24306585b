"""HTTP for the caller's own sessions and account."""

from services.auth.accounts.schemas import OwnPasswordBody
from services.auth.errors import (
    LoginLocked,
    PasswordTooWeak,
    SessionEnded,
    SessionNotFound,
    WrongPassword,
)
from services.auth.routes.callers import AnyCaller, Auth, From, Me
from services.auth.schemas import (
    SessionPage,
    SessionView,
    UserView,
)
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.paging import AfterText, Cursor, CursorsDep, Limit
from services.chassis.web.problems import BadRequest, documented

router = bounded_router()


@router.post("/logout", status_code=204, responses=documented(SessionEnded), tags=["sessions"])
async def log_out(auth: Auth, caller: AnyCaller, origin: From) -> None:
    """End the session that the token belongs to. The other services refuse the token within 5 seconds."""
    await auth.sessions.logout(caller, origin)


@router.get("/sessions", responses=documented(SessionEnded, BadRequest), tags=["sessions"])
async def list_sessions(  # noqa: PLR0917 - FastAPI passes by name
    auth: Auth,
    account: Me,
    caller: AnyCaller,
    cursors: CursorsDep,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> SessionPage:
    """List your sessions that go on, newest first."""
    found = await auth.own.page(account, cursors.start(after), limit + 1)
    page = found[:limit]
    more = Cursor(page[-1].started_at, page[-1].id) if len(found) > limit else None
    return SessionPage(
        items=[SessionView.of(one, caller.session_id) for one in page], next=cursors.next(more)
    )


@router.delete(
    "/sessions/{session_id}",
    status_code=204,
    responses=documented(SessionEnded, SessionNotFound),
    tags=["sessions"],
)
async def end_session(session_id: Identifier, auth: Auth, account: Me, origin: From) -> None:
    """End one of your sessions, this one or another. The other services refuse its tokens within 5 seconds."""
    await auth.own.end(account, session_id, origin)


@router.delete("/sessions", status_code=204, responses=documented(SessionEnded), tags=["sessions"])
async def end_sessions(auth: Auth, account: Me, origin: From) -> None:
    """End all your sessions, this one too: log out everywhere."""
    await auth.own.end_all(account, origin)


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
async def change_own_password(body: OwnPasswordBody, auth: Auth, caller: AnyCaller, origin: From) -> None:
    """Replace your password; ends your other sessions."""
    await auth.sessions.change_password(
        caller, body.old_password.get_secret_value(), body.new_password.get_secret_value(), origin
    )
