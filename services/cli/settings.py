"""Settings of the command line."""

from decimal import Decimal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.cli.history.loans import OVERPAYMENT_TOLERANCE


class ImportSettings(BaseSettings):
    """What `creditmesh import` reads from the environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    lake_url: SecretStr = Field(
        description="SQLAlchemy URL of the lake with the login `importer`: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
    overpayment_tolerance: Decimal = Field(
        OVERPAYMENT_TOLERANCE,
        ge=0,
        le=10,
        description="how much more than principal and interest may have been paid under a loan, as a fraction of its "
        "principal, 0 to 10",
    )
