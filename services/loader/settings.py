"""Settings of the loader's commands and of its exporter."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import DatabaseUrl


class WarehouseSettings(BaseSettings):
    """What every command reads."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    warehouse_url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the warehouse: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
