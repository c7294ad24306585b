"""Settings of the loader's commands and of its exporter."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import DatabaseUrl, ServiceSettings

WAREHOUSE = "SQLAlchemy URL of the warehouse: postgresql+asyncpg://… or mssql+aioodbc://…"


class WarehouseSettings(BaseSettings):
    """What every command reads."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    warehouse_url: DatabaseUrl = Field(description=WAREHOUSE)


class LakeSettings(BaseSettings):
    """What a flow from the journal reads too."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    lake_url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the lake: postgresql+asyncpg://… or mssql+aioodbc://…"
    )


class LoadSettings(WarehouseSettings):
    """What plan, run and replay read."""

    loader_batch_rows: int = Field(
        250_000,
        ge=1,
        description="most rows in one batch; a larger window is split, and each batch is one transaction",
    )
    traceparent: str | None = Field(
        None, description="W3C trace context of the caller, which the load continues"
    )


class ExporterSettings(ServiceSettings):
    """What the exporter reads."""

    warehouse_url: DatabaseUrl = Field(description=WAREHOUSE)
    exporter_every_seconds: float = Field(
        5.0, gt=0, description="seconds between two queries of the warehouse"
    )
