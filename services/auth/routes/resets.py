"""HTTP for forgotten passwords: administrators issue and confirm a code, the user sets a password with it."""

from fastapi import Request

from services.auth.accounts.schemas import NewResetCodeView, ResetBody, ResetCodeView
from services.auth.errors import (
    InvalidResetCode,
    LoginLocked,
    OwnAccount,
    PasswordTooWeak,
    ProposalOutdated,
    ResetCodeNotFound,
    SecondPersonNeeded,
    UserNotFound,
)
from services.auth.routes.callers import Auth, By, From
from services.chassis.web.identity import LoginTooOld
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.limits.rates import RouteClass, count
from services.chassis.web.problems import documented

router = bounded_router()


@router.post(
    "/users/{user_id}/reset-codes",
    status_code=201,
    responses=documented(LoginTooOld, UserNotFound, OwnAccount),
    tags=["users"],
)
async def issue_reset_code(user_id: Identifier, auth: Auth, by: By) -> NewResetCodeView:
    """Issue a code by which another user sets a new password: shown once, good for 30 minutes and one use.

    It works after another administrator has confirmed it: whoever has it could log in as the user.
    """
    code, text = await auth.resets.issue(user_id, by=by)
    return NewResetCodeView(code=text, reset_code=ResetCodeView.of(code))


@router.post(
    "/users/{user_id}/reset-codes/{code_id}/confirmation",
    responses=documented(LoginTooOld, ResetCodeNotFound, SecondPersonNeeded, ProposalOutdated),
    tags=["users"],
)
async def confirm_reset_code(user_id: Identifier, code_id: Identifier, auth: Auth, by: By) -> ResetCodeView:
    """Confirm a reset code that another administrator issued; its user cannot."""
    return ResetCodeView.of(await auth.resets.confirm(user_id, code_id, by=by))


@router.post(
    "/password-resets",
    status_code=204,
    responses=documented(InvalidResetCode, LoginLocked, PasswordTooWeak),
    tags=["sessions"],
)
async def reset_password(request: Request, body: ResetBody, auth: Auth, origin: From) -> None:
    """Set your password with a reset code; ends your sessions. Then log in."""
    await count(request, RouteClass.LOGIN)
    await auth.resets.use(
        body.username, body.code.get_secret_value(), body.new_password.get_secret_value(), origin
    )
