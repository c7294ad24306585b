"""Settings of the auth service and its commands."""

from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import DatabaseUrl, ServiceSettings
from services.lake.domain.roles import OF_PEOPLE, Role

LONGEST_TOKEN_MINUTES = 60
"""The longest lifetime of a token that can be set, minutes; ended sessions are kept for this time."""
LONGEST_SESSION_HOURS = 24
"""The longest absolute lifetime of a session that can be set, hours."""
_URL = "SQLAlchemy URL of the application database: postgresql+asyncpg://login:password@host:port/database"


class AuthSettings(ServiceSettings):
    """What the auth server reads from its environment."""

    http_port: int = Field(17101, ge=0, le=65535, description="TCP port that the process listens on")
    application_url: DatabaseUrl = Field(description=_URL)
    auth_key_encryption_key: SecretStr = Field(
        description="32 random bytes in URL-safe base64; encrypts the private signing keys at rest"
    )
    auth_public_url: str | None = Field(
        None,
        pattern="^https?://[^/]+(/.*[^/])?$",
        description="URL by which clients reach auth, for its metadata; by default that of the request",
    )
    auth_token_minutes: int = Field(
        10, ge=1, le=LONGEST_TOKEN_MINUTES, description="lifetime of an access token, minutes"
    )
    auth_refresh_idle_minutes: int = Field(
        60, ge=1, le=LONGEST_SESSION_HOURS * 60, description="minutes without a refresh that end a session"
    )
    auth_session_hours: int = Field(
        12, ge=1, le=LONGEST_SESSION_HOURS, description="hours after which a session ends in any case"
    )
    auth_mfa_roles: str = Field(
        "", description="roles whose users need a second factor, separated by commas; none by default"
    )
    auth_proposal_hours: int = Field(
        72, ge=1, le=720, description="hours for which a proposal waits for a second administrator"
    )
    auth_key_rotation_days: int = Field(
        30, ge=1, le=365, description="days after which a new signing key takes over"
    )

    @property
    def mfa_roles(self) -> frozenset[Role]:
        """The roles of `auth_mfa_roles`."""
        return frozenset(Role(name.strip()) for name in self.auth_mfa_roles.split(",") if name.strip())

    @field_validator("auth_mfa_roles")
    @classmethod
    def _are_roles(cls, value: str) -> str:
        unknown = {name.strip() for name in value.split(",") if name.strip()} - {*OF_PEOPLE}
        if unknown:
            raise ValueError(f"there are no such roles of people: {', '.join(sorted(unknown))}")
        return value

    @field_validator("auth_key_encryption_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        Fernet(value.get_secret_value())
        return value


class CommandSettings(BaseSettings):
    """What the one-shot commands read from their environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    application_url: DatabaseUrl = Field(description=_URL)
