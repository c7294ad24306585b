"""One-shot commands of the auth service: add users from a terminal or a script."""

import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from services.auth.accounts.passwords import Passwords
from services.auth.accounts.users import Users
from services.auth.domain import NewUser
from services.auth.errors import PasswordTooWeak, UsernameTaken
from services.auth.schemas import SetUpUserBody
from services.chassis.database import ApplicationDatabase
from services.lake.domain.roles import Role

_Bodies = TypeAdapter(list[SetUpUserBody])


class InvalidUsers(Exception):
    """The input does not describe users."""


def described(username: str, display_name: str | None, roles: Sequence[Role], password: str) -> NewUser:
    """The user that these arguments describe; raises InvalidUsers, which names each fault but no password."""
    body: dict[str, object] = {
        "username": username,
        "display_name": display_name or username,
        "roles": list(roles),
        "password": password,
    }
    return _validated([body])[0]


def parse_users(text: bytes) -> list[NewUser]:
    """The users of a JSON array of `{username, display_name, roles, password}`; raises InvalidUsers."""
    try:
        return [body.to_domain() for body in _Bodies.validate_json(text)]
    except ValidationError as error:
        raise _invalid(error) from None


def password_from(password_file: Path | None) -> str:
    """A password: a new one, written to `password_file` (mode 0600), or the first line of standard input.

    Raises FileExistsError when the file exists: it may hold a password that is in use.
    """
    if password_file is None:
        return sys.stdin.readline().rstrip("\r\n")
    password = secrets.token_urlsafe(18)
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password + "\n")
    return password


async def add_users(url: str, new_users: Sequence[NewUser]) -> list[str]:
    """Add those users who do not exist; existing ones stay as they are. Returns a line about each.

    It needs no second administrator: it creates the first two. It does not bypass the rule of the API, because it
    needs the database's password; its audit events have no actor.
    """
    database = ApplicationDatabase.open(url, service="auth-commands", pool_size=1)
    try:
        users = Users(database, Passwords())
        return [await _add(users, new) for new in new_users]
    finally:
        await database.dispose()


async def _add(users: Users, new: NewUser) -> str:
    # Look the user up first: hashing a password takes longer than everything else.
    if await users.find(new.username) is None:
        try:
            account = await users.add(new)
        except PasswordTooWeak as weak:
            raise InvalidUsers(
                f"{new.username}: password: {weak.extensions['errors'][0]['detail']}"
            ) from None
        except UsernameTaken:
            return f"{new.username}: exists, left unchanged"
        return f"{new.username}: created with id {account.id}"
    return f"{new.username}: exists, left unchanged"


def _validated(bodies: Sequence[dict[str, object]]) -> list[NewUser]:
    try:
        return [body.to_domain() for body in _Bodies.validate_python(bodies)]
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> InvalidUsers:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return InvalidUsers(
        "; ".join(f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}" for fault in faults)
    )
