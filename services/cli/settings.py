"""Settings of the command line."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ImportSettings(BaseSettings):
    """What `creditmesh import` reads from the environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    lake_url: SecretStr = Field(
        description="SQLAlchemy URL of the lake with the login `importer`: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
