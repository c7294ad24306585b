"""Settings of analytics' commands."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import DatabaseUrl

WAREHOUSE = "postgresql+asyncpg://… or mssql+aioodbc://…"


class MigrationSettings(BaseSettings):
    """What `migrate` reads from its environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    warehouse_url: DatabaseUrl = Field(
        description=f"SQLAlchemy URL of the warehouse with its owner's login: {WAREHOUSE}"
    )


class PublicationSettings(BaseSettings):
    """What `publish` reads from its environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    warehouse_url: DatabaseUrl = Field(
        description=f"SQLAlchemy URL of the warehouse with the transformer's login: {WAREHOUSE}"
    )
    traceparent: str | None = Field(
        None, description="W3C trace context of the caller, which the publication continues"
    )
