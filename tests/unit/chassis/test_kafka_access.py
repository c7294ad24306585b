"""The settings of a process's access to Kafka, and the names of wrong ones."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.chassis.kafka_access import KafkaAccess, KafkaSettings

SASL = {
    "KAFKA_BOOTSTRAP": "h:1",
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_USERNAME": "relay",
    "KAFKA_PASSWORD": "secret",
}


def test_an_environment_is_read_as_it_was_written(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("")
    for access in (
        KafkaAccess("h:1"),
        KafkaAccess("h:1,i:2", "SASL_PLAINTEXT", "relay", SecretStr("s=c r")),
        KafkaAccess("h:1", "SASL_SSL", "relay", SecretStr("s"), authority),
        KafkaAccess("h:1", "SSL", ca_file=authority),
    ):
        assert KafkaAccess.from_environment(access.environment("OTHER_"), "OTHER_") == access


def test_a_password_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("of a file\n")
    values = {name: value for name, value in SASL.items() if name != "KAFKA_PASSWORD"}
    access = KafkaAccess.from_environment(values | {"KAFKA_PASSWORD_FILE": str(file)})
    assert access.client()["sasl_plain_password"] == "of a file"
    assert access.client()["sasl_mechanism"] == "SCRAM-SHA-512"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"KAFKA_USERNAME": ""}, "KAFKA_USERNAME"),
        ({"KAFKA_PASSWORD": ""}, "KAFKA_PASSWORD_FILE"),
        ({"KAFKA_PASSWORD": "", "KAFKA_PASSWORD_FILE": "/nowhere"}, "KAFKA_PASSWORD_FILE cannot be read"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL"),
        ({"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "KAFKA_SECURITY_PROTOCOL of SASL_"),
        ({"KAFKA_CA_FILE": "/nowhere"}, "KAFKA_CA_FILE is no file"),
    ],
)
def test_what_is_wrong_is_named_and_never_shown(change: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named) as refused:
        KafkaAccess.from_environment(SASL | change)
    assert "secret" not in str(refused.value)


def test_settings_give_the_access(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (SASL | {"HTTP_PORT": "0"}).items():
        monkeypatch.setenv(name, value)
    access = KafkaSettings().kafka()
    assert access == KafkaAccess("h:1", "SASL_PLAINTEXT", "relay", SecretStr("secret"))
    assert "secret" not in repr(access)
    monkeypatch.delenv("KAFKA_PASSWORD")
    with pytest.raises(ValueError, match="KAFKA_PASSWORD"):
        KafkaSettings()
