import pytest
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings

from services.chassis.settings import DatabaseUrl, ServiceSettings, load_settings


class ExampleSettings(ServiceSettings):
    http_port: int = 1234
    key_secret: SecretStr = Field(min_length=20, description="the key, 20 characters or more")
    batch_size: int = Field(10, ge=1, description="changes in one batch, 1 or more")


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_SECRET", "x" * 20)
    monkeypatch.setenv("HTTP_PORT", "8080")

    settings = load_settings(ExampleSettings)

    assert (settings.http_port, settings.batch_size, settings.auth_issuer) == (8080, 10, "creditmesh")
    assert "x" * 20 not in repr(settings)


def test_every_fault_is_named_and_no_value_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KEY_SECRET", "much-too-short")
    monkeypatch.setenv("BATCH_SIZE", "none")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")

    with pytest.raises(SystemExit) as exit_:
        load_settings(ExampleSettings)

    printed = capsys.readouterr().err
    assert exit_.value.code == 2
    assert "KEY_SECRET is wrong" in printed
    assert "expected: the key, 20 characters or more" in printed
    assert "BATCH_SIZE is wrong" in printed
    assert "LOG_LEVEL is wrong" in printed
    assert "much-too-short" not in printed


def test_a_missing_setting_is_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KEY_SECRET", raising=False)

    with pytest.raises(SystemExit):
        load_settings(ExampleSettings)

    assert "KEY_SECRET is not set; expected: the key" in capsys.readouterr().err


class DatabaseSettings(BaseSettings):
    lake_url: DatabaseUrl


@pytest.mark.parametrize(
    "url", ["", "lake", "postgresql://lake:hunter2@127.0.0.1/lake", "sqlite:///x", "postgresql+asyncpg"]
)
def test_a_database_url_names_an_async_driver(url: str) -> None:
    with pytest.raises(ValidationError, match=r"postgresql\+asyncpg or mssql\+aioodbc"):
        DatabaseSettings(lake_url=SecretStr(url))


def test_a_database_url_keeps_its_password_to_itself() -> None:
    settings = DatabaseSettings(lake_url=SecretStr("postgresql+asyncpg://lake:hunter2@127.0.0.1:5432/lake"))

    assert "hunter2" not in repr(settings)
    assert "hunter2" in settings.lake_url.get_secret_value()
