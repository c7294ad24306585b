"""Settings of the lineage service and of its commands."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import DatabaseUrl, Rate, ServiceSettings

_URL = "SQLAlchemy URL of the application database with {login}'s login: postgresql+asyncpg://…"


class LineageSettings(ServiceSettings):
    """What `serve` reads from its environment."""

    auth_jwks_url: str = Field(
        pattern="^https?://", description="URL of the JSON Web Key Set that verifies access tokens"
    )
    application_url: DatabaseUrl = Field(description=_URL.format(login="the service"))
    rate_limit_write: Rate = Field(
        "1000/second",
        description="requests of a client by any other method than reading; a build sends hundreds of events at once",
    )


class CommandSettings(BaseSettings):
    """What `migrate` and `rebuild` read from their environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    application_url: DatabaseUrl = Field(description=_URL.format(login="its owner"))
