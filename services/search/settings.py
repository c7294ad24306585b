"""Settings of search."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import DatabaseUrl, ServiceSettings


class SearchSettings(ServiceSettings):
    """What search reads from its environment to serve."""

    auth_jwks_url: str = Field(
        pattern="^https?://", description="URL of the JSON Web Key Set that verifies access tokens"
    )
    application_url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the application database with search's login: postgresql+asyncpg://…"
    )
    lake_url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the lake with search's login: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
    application_pool_size: int = Field(
        10, ge=1, le=200, description="most connections to the application database, 1 to 200"
    )
    lake_pool_size: int = Field(5, ge=1, le=200, description="most connections to the lake, 1 to 200")


class MigrationSettings(BaseSettings):
    """What `migrate` reads from its environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    application_url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the application database with its owner's login: postgresql+asyncpg://…"
    )
