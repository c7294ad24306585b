"""HTTP bodies of service clients."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.auth.clients.model import Client, Secret, SecretState
from services.auth.domain import USERNAME_PATTERN
from services.chassis.web.input.strict import Flag, Name

ClientScope = Literal[
    "applications:read",
    "applications:submit",
    "parties:read",
    "parties:write",
    "lineage:read",
    "lineage:write",
]
"""The scopes of the role `service`: the most that a client can have."""
ClientScopes = Annotated[frozenset[ClientScope], Field(min_length=1)]
ClientName = Annotated[str, Field(pattern=USERNAME_PATTERN, examples=["partner.portal"])]
DisplayName = Annotated[str, Name(200)]


class NewClientBody(BaseModel):
    """A service client to be added."""

    model_config = ConfigDict(extra="forbid")

    name: ClientName
    display_name: DisplayName
    scopes: ClientScopes

    def granted(self) -> frozenset[str]:
        """The scopes as text."""
        return frozenset[str](self.scopes)


class NewSecretBody(BaseModel):
    """A secret that shall replace the one before; without scopes they stay as they are."""

    model_config = ConfigDict(extra="forbid")

    scopes: ClientScopes | None = None

    def granted(self) -> frozenset[str] | None:
        """The scopes as text."""
        return None if self.scopes is None else frozenset[str](self.scopes)


class ClientChangeBody(BaseModel):
    """Whether a client is disabled."""

    model_config = ConfigDict(extra="forbid")

    disabled: Flag


class SecretView(BaseModel):
    """A secret of a client, without the secret. Its `id` is the session id of its tokens."""

    id: UUID
    state: SecretState
    scopes: list[str]
    proposed_by: UUID
    proposed_at: datetime
    expires_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None

    @classmethod
    def of(cls, secret: Secret, now: datetime) -> Self:
        """Show `secret` as it is at `now`."""
        own = {name: getattr(secret, name) for name in cls.model_fields if name not in {"state", "scopes"}}
        return cls(**own, state=secret.state(now), scopes=sorted(secret.scopes))


class ClientView(BaseModel):
    """A service client, with those of its secrets that were not replaced, refused or ended."""

    id: UUID
    name: str
    display_name: str
    disabled: bool
    created_by: UUID
    created_at: datetime
    secrets: list[SecretView]

    @classmethod
    def of(cls, client: Client, now: datetime) -> Self:
        """Show `client` as it is at `now`."""
        own = {name: getattr(client, name) for name in cls.model_fields if name != "secrets"}
        return cls(**own, secrets=[SecretView.of(one, now) for one in client.secrets])


class ClientPage(BaseModel):
    """A page of clients in the order of their names; `next` is the `after` of the following page."""

    items: list[ClientView]
    next: str | None


class NewSecretView(BaseModel):
    """A new secret, which nobody can read again. `client_id` and `client_secret` are what the program sends."""

    client_id: UUID
    client_secret: str
    secret_id: UUID
    client: ClientView

    @classmethod
    def of(cls, client: Client, secret: str, now: datetime) -> Self:
        """Show the newest secret of `client`."""
        return cls(
            client_id=client.id,
            client_secret=secret,
            secret_id=client.secrets[-1].id,
            client=ClientView.of(client, now),
        )
