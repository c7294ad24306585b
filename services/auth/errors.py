"""The problems of logging in and of managing users."""

from services.chassis.problems import Conflict, Forbidden, NotFound, TooManyRequests, Unauthenticated


class InvalidCredentials(Unauthenticated):
    """User name or password is wrong."""


class LoginLocked(TooManyRequests):
    """Too many failed logins under this name."""


class SessionEnded(Unauthenticated):
    """The session has ended."""


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
