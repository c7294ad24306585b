"""HTTP bodies of the auth service."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.auth.domain import (
    PASSWORD_MAX_LENGTH,
    PASSWORD_MIN_LENGTH,
    USERNAME_PATTERN,
    Account,
    NewUser,
    UserChange,
)
from services.auth.sessions import IssuedToken
from services.chassis.access import Role

Username = Annotated[str, Field(pattern=USERNAME_PATTERN, examples=["ann.maker"])]
# PostgreSQL cannot hold U+0000, and no name has control characters.
DisplayName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
NewPassword = Annotated[SecretStr, Field(min_length=PASSWORD_MIN_LENGTH, max_length=PASSWORD_MAX_LENGTH)]
Roles = Annotated[frozenset[Role], Field(min_length=1)]


class LoginForm(BaseModel):
    """The form of OAuth 2.0's password grant (RFC 6749, 4.3.2)."""

    grant_type: Literal["password"] = "password"
    username: Annotated[str, Field(max_length=256)]
    password: Annotated[SecretStr, Field(max_length=PASSWORD_MAX_LENGTH)]


class TokenView(BaseModel):
    """An access token; `expires_in` is in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a kind, no secret
    expires_in: int
    roles: list[Role]

    @classmethod
    def of(cls, issued: IssuedToken) -> Self:
        """The body for an issued token."""
        return cls(
            access_token=issued.token,
            expires_in=int(issued.expires_in.total_seconds()),
            roles=sorted(issued.roles),
        )


class OwnPasswordBody(BaseModel):
    """One's own new password, and the old one as proof."""

    model_config = ConfigDict(extra="forbid")

    old_password: Annotated[SecretStr, Field(max_length=PASSWORD_MAX_LENGTH)]
    new_password: NewPassword


class RevocationList(BaseModel):
    """The sessions that ended while tokens of theirs may still verify."""

    sids: list[UUID]


class UserView(BaseModel):
    """A user, without anything secret."""

    id: UUID
    username: str
    display_name: str
    roles: list[Role]
    disabled: bool
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> Self:
        """The body for an account."""
        return cls(
            id=account.id,
            username=account.username,
            display_name=account.display_name,
            roles=sorted(account.roles),
            disabled=account.disabled,
            created_at=account.created_at,
        )


class UserPage(BaseModel):
    """A page of users in the order of their names; `next` is the `after` of the following page."""

    items: list[UserView]
    next: str | None


class NewUserBody(BaseModel):
    """A user to be added."""

    model_config = ConfigDict(extra="forbid")

    username: Username
    display_name: DisplayName
    password: NewPassword
    roles: Roles

    def to_domain(self) -> NewUser:
        """The use case's input."""
        return NewUser(self.username, self.display_name, self.password.get_secret_value(), self.roles)


class UserChangeBody(BaseModel):
    """What shall change of a user; what is left out or null stays."""

    model_config = ConfigDict(extra="forbid")

    roles: Roles | None = None
    disabled: bool | None = None
    password: NewPassword | None = None

    def to_domain(self) -> UserChange:
        """The use case's input."""
        password = None if self.password is None else self.password.get_secret_value()
        return UserChange(self.roles, self.disabled, password)
