"""HTTP for the second factor: one's own device and recovery codes, and a lost device of somebody else."""

from services.auth.accounts.schemas import NewDeviceView, OtpBody, RecoveryCodesView
from services.auth.errors import (
    LoginLocked,
    NoSecondFactor,
    OwnAccount,
    SecondFactorExists,
    SecondFactorMandatory,
    UserNotFound,
    WrongOtp,
)
from services.auth.routes.callers import AnyCaller, Auth, By, From, MePresent
from services.chassis.web.identity import LoginTooOld
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.problems import documented

router = bounded_router()


@router.post(
    "/me/otp",
    status_code=201,
    responses=documented(LoginTooOld, SecondFactorExists),
    tags=["sessions"],
)
async def enrol_device(auth: Auth, account: MePresent) -> NewDeviceView:
    """Get a secret for a device that shows one-time passwords (RFC 6238). It counts after its confirmation."""
    secret, uri = await auth.factor.enrol(account)
    return NewDeviceView(secret=secret, uri=uri)


@router.post(
    "/me/otp/confirmation",
    responses=documented(LoginTooOld, NoSecondFactor, LoginLocked, WrongOtp),
    tags=["sessions"],
)
async def confirm_device(
    body: OtpBody, auth: Auth, account: MePresent, caller: AnyCaller, origin: From
) -> RecoveryCodesView:
    """Confirm the new device by a code of it: from now on a login needs one. Ends your other sessions."""
    codes = await auth.factor.confirm(
        account, body.otp.get_secret_value(), origin, session_id=caller.session_id
    )
    return RecoveryCodesView(recovery_codes=codes)


@router.post(
    "/me/otp/recovery-codes",
    responses=documented(LoginTooOld, NoSecondFactor, LoginLocked, WrongOtp),
    tags=["sessions"],
)
async def renew_recovery_codes(
    body: OtpBody, auth: Auth, account: MePresent, origin: From
) -> RecoveryCodesView:
    """Get new recovery codes; the old ones end."""
    codes = await auth.factor.renew_recovery_codes(account, body.otp.get_secret_value(), origin)
    return RecoveryCodesView(recovery_codes=codes)


@router.post(
    "/me/otp/removal",
    status_code=204,
    responses=documented(LoginTooOld, NoSecondFactor, LoginLocked, WrongOtp, SecondFactorMandatory),
    tags=["sessions"],
)
async def remove_device(body: OtpBody, auth: Auth, account: MePresent, origin: From) -> None:
    """Remove your device, unless one of your roles needs it."""
    await auth.factor.remove(account, body.otp.get_secret_value(), origin)


@router.delete(
    "/users/{user_id}/otp",
    status_code=204,
    responses=documented(LoginTooOld, UserNotFound, OwnAccount),
    tags=["users"],
)
async def remove_device_of(user_id: Identifier, auth: Auth, by: By) -> None:
    """Remove the lost device of another user; ends their sessions."""
    await auth.factor.remove_of(user_id, by=by)
