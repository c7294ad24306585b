"""The problems of logging in and of managing users."""

from services.chassis.web.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unprocessable,
)


class InvalidCredentials(Unauthenticated):
    """User name or password is wrong."""


class InvalidGrant(BadRequest):
    """The refresh token is not valid (any more)."""

    def __init__(self, detail: str = "Log in again.") -> None:
        """The answer has the members of RFC 6749 (5.2) too, and does not say what was wrong with the token."""
        super().__init__(detail, error="invalid_grant", error_description=detail)


class UnsupportedTokenType(BadRequest):
    """Tokens of this kind cannot be revoked."""

    def __init__(self, detail: str) -> None:
        """The answer has the members of RFC 7009 (2.2.1) too."""
        super().__init__(detail, error="unsupported_token_type", error_description=detail)


class InvalidScope(BadRequest):
    """A scope was asked for that the client does not have."""

    def __init__(self, detail: str) -> None:
        """The answer has the members of RFC 6749 (5.2) too."""
        super().__init__(detail, error="invalid_scope", error_description=detail)


class InvalidClient(Unauthenticated):
    """The client's id or secret is wrong."""

    def __init__(self, detail: str) -> None:
        """The answer has the members of RFC 6749 (5.2) too, and does not say what was wrong."""
        super().__init__(detail)
        self.extensions = {"error": "invalid_client", "error_description": detail}
        self.headers["WWW-Authenticate"] = 'Basic realm="creditmesh"'


class ClientNotFound(NotFound):
    """There is no client with this id."""


class SecretNotFound(NotFound):
    """The client has no such secret that waits."""


class ClientTaken(Conflict):
    """A client with this name exists."""


class ClientDisabled(Conflict):
    """The client is disabled."""


class LoginLocked(TooManyRequests):
    """Too many failed logins under this name."""


class SessionEnded(Unauthenticated):
    """The session has ended."""


class SessionNotFound(NotFound):
    """The caller has no such session."""


class UserNotFound(NotFound):
    """There is no user with this id."""


class UsernameTaken(Conflict):
    """A user with this name exists."""


class LastAdministrator(Conflict):
    """This is the last administrator who can log in."""


class OwnAccount(Forbidden):
    """Administrators do not change their own roles, status or password."""


class WrongPassword(Forbidden):
    """The old password is wrong."""


class PasswordTooWeak(Unprocessable):
    """The new password is too easy to guess."""

    def __init__(self, pointer: str, detail: str) -> None:
        """`pointer`: to the password in the request; `detail`: what is wrong with it, without any of it."""
        super().__init__("Choose another password.", errors=[{"pointer": pointer, "detail": detail}])


class InvalidResetCode(BadRequest):
    """The reset code is not valid (any more)."""


class ResetCodeNotFound(NotFound):
    """The user has no such reset code that waits."""


class OtpRequired(Unauthenticated):
    """A code of the second factor is needed."""

    def __init__(self, detail: str) -> None:
        """The password was right."""
        super().__init__(detail)
        self.extensions = {"error": "mfa_required", "error_description": detail}


class WrongOtp(Forbidden):
    """The code is wrong, or has been used."""


class NoSecondFactor(Conflict):
    """There is no second factor."""


class SecondFactorExists(Conflict):
    """There is a second factor already."""


class SecondFactorMandatory(Forbidden):
    """The second factor cannot be removed."""


class ProposalNotFound(NotFound):
    """There is no proposal with this id."""


class ProposalSettled(Conflict):
    """The proposal does not wait any more."""


class ProposalOutdated(Conflict):
    """The user, or the rights of who proposed it, have changed since."""


class SecondPersonNeeded(Forbidden):
    """Another administrator must confirm this, and never the user whom it is about."""
