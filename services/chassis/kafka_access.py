"""A process's access to Kafka: brokers, login and certificate."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from services.chassis.settings import ServiceSettings

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "PLAIN"]


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """One login at one cluster.

    `bootstrap` lists the first brokers (host:port, separated by commas). With a SASL protocol, `username` and
    `password` are for SCRAM-SHA-512 unless `mechanism` says PLAIN. `ca_file` has the authority of the brokers'
    certificates; the default is the system's authorities.
    """

    bootstrap: str
    protocol: Protocol = "PLAINTEXT"
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    mechanism: Mechanism = "SCRAM-SHA-512"

    def client(self) -> dict[str, Any]:
        """The common arguments of aiokafka's clients."""
        options: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "security_protocol": self.protocol}
        if self.protocol.startswith("SASL_"):
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password.get_secret_value() if self.password else None,
            }
        if self.protocol.endswith("SSL"):
            options["ssl_context"] = ssl.create_default_context(cafile=self.ca_file)
        return options

    def environment(self, prefix: str = "KAFKA_") -> dict[str, str]:
        """The environment variables that configure this access for a process."""
        values = {
            "BOOTSTRAP": self.bootstrap,
            "SECURITY_PROTOCOL": self.protocol,
            "USERNAME": self.username,
            "PASSWORD": self.password.get_secret_value() if self.password else None,
            "CA_FILE": str(self.ca_file) if self.ca_file else None,
        }
        return {prefix + name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_environment(cls, values: Mapping[str, str], prefix: str = "KAFKA_") -> Self:
        """Read the variables of `environment`, or `<prefix>PASSWORD_FILE`; empty variables count as not set.

        Raises:
            ValueError: a variable is missing or wrong; the message names it and no value.
        """
        given = {name: values[prefix + name] for name in _VARIABLES if values.get(prefix + name)}
        protocol = given.get("SECURITY_PROTOCOL", "PLAINTEXT")
        if protocol not in {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}:
            raise ValueError(f"{prefix}SECURITY_PROTOCOL is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL")
        password = given.get("PASSWORD")
        if password is None and "PASSWORD_FILE" in given:
            password = _read(Path(given["PASSWORD_FILE"]), f"{prefix}PASSWORD_FILE")
        if protocol.startswith("SASL_") and (password is None or "USERNAME" not in given):
            raise ValueError(
                f"{prefix}SECURITY_PROTOCOL {protocol} needs {prefix}USERNAME, and {prefix}PASSWORD or "
                f"{prefix}PASSWORD_FILE"
            )
        if not protocol.startswith("SASL_") and (password or "USERNAME" in given):
            raise ValueError(
                f"{prefix}USERNAME and {prefix}PASSWORD need a {prefix}SECURITY_PROTOCOL of SASL_…"
            )
        ca_file = Path(given["CA_FILE"]) if "CA_FILE" in given else None
        if ca_file is not None and not ca_file.is_file():
            raise ValueError(f"{prefix}CA_FILE is no file")
        return cls(
            given.get("BOOTSTRAP", ""),
            protocol,  # type: ignore[arg-type] # one of the four, see above
            given.get("USERNAME"),
            None if password is None else SecretStr(password),
            ca_file,
        )


_VARIABLES = ("BOOTSTRAP", "SECURITY_PROTOCOL", "USERNAME", "PASSWORD", "PASSWORD_FILE", "CA_FILE")


def _read(file: Path, variable: str) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise ValueError(f"{variable} cannot be read: {error.strerror}") from None


class KafkaSettings(ServiceSettings):
    """The settings of every process that uses Kafka."""

    kafka_bootstrap: str = Field(description="brokers to start from: host:port[,host:port…]")
    kafka_security_protocol: Protocol = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; SASL is SCRAM-SHA-512"
    )
    kafka_username: str | None = Field(None, description="login at Kafka, with a protocol of SASL_…")
    kafka_password: SecretStr | None = Field(None, description="its password")
    kafka_password_file: Path | None = Field(None, description="file with the password, instead of it")
    kafka_ca_file: Path | None = Field(
        None, description="PEM file of the authority that signed the brokers' certificates"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self.kafka()
        return self

    def kafka(self) -> KafkaAccess:
        """The access that these settings describe."""
        values = {
            "KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "KAFKA_SECURITY_PROTOCOL": self.kafka_security_protocol,
            "KAFKA_USERNAME": self.kafka_username or "",
            "KAFKA_PASSWORD": self.kafka_password.get_secret_value() if self.kafka_password else "",
            "KAFKA_PASSWORD_FILE": str(self.kafka_password_file or ""),
            "KAFKA_CA_FILE": str(self.kafka_ca_file or ""),
        }
        return KafkaAccess.from_environment(values)
