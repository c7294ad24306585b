"""Settings of the lake's one-shot commands."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class LakeSettings(BaseSettings):
    """What the lake's commands read from their environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    lake_url: SecretStr = Field(
        description="SQLAlchemy URL of the lake with its owner's login: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
    reviewed_triggers: str = Field(
        "",
        description="reviewed triggers that write no captured table: schema.table.trigger, separated by commas",
    )
