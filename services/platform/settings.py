"""The platform's own settings: where its state lies and which ports it takes."""

from __future__ import annotations

import random
import socket
import ssl
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.platform.components.certificates import Certificates
from services.platform.home import Home

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
# Below the range from which the kernel serves outgoing connections, so that a process that is restarted finds its
# port again.
SPARE_PORTS = range(18000, 32000)

_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Port = Annotated[int, Field(ge=1024, le=65535)]


FOR_READERS = frozenset({"dashboard", "analytics", "lineage"})
"""Processes for people who look at figures, which nothing else needs: the profile `core` leaves them out."""


class PlatformSettings(BaseSettings):
    """Every setting is an environment variable: its name in capitals behind `CREDITMESH_`."""

    model_config = SettingsConfigDict(env_prefix="CREDITMESH_", frozen=True)

    home: Path = Field(default=ROOT / "var", description="folder of the data, logs, sockets and secrets")
    tools: Path = Field(default=ROOT / ".tools", description="folder of the downloaded programs")
    log_level: str = Field(default="INFO", description="log level of the services")
    traces_sampler: str = Field(
        default="parentbased_always_on", description="OTEL_TRACES_SAMPLER of the services"
    )
    start_timeout: float = Field(
        default=120.0,
        gt=0,
        description="seconds without progress after which a process that is not ready fails the start",
    )
    alert_after: float = Field(
        default=60.0, gt=0, description="seconds for which a fault lasts before its alert fires"
    )
    tls: bool = Field(default=False, description="whether all listeners but PostgreSQL's use only TLS")
    samples: bool = Field(
        default=True, description="whether the fifty sample applications are added to the lake"
    )
    rate_limits: dict[str, str] = Field(
        default={
            "read": "2000/second",
            "write": "1000/second",
            "export": "1000/minute",
            "login": "50/second",
        },
        description="rate limits of the services by class, as a JSON object; one user of the demo sends hundreds of "
        "requests a second",
    )
    core: bool = Field(
        default=False,
        description="whether what people look at is left out: dashboard, analytics and lineage; `PROFILE=core`",
    )
    airflow: bool = Field(default=True, description="whether Airflow is part of the platform")
    scan: bool = Field(
        default=False,
        description="whether ClamAV is part of the platform and scans documents; `PROFILE=scan`",
    )
    flows: Path = Field(default=ROOT / "airflow" / "flows", description="folder of the flow files")
    flows_interval: int = Field(
        default=300, gt=0, description="seconds between two looks of Airflow at the flow files"
    )
    alert_webhook: str = Field(
        default="", description="URL to which Airflow posts each failure of a flow, if any"
    )
    lineage_url: str = Field(
        default="", description="OpenLineage server for the events; without one they go into files"
    )
    postgres_options: dict[str, str] = Field(
        default={}, description="settings of PostgreSQL that override the platform's, as a JSON object"
    )

    dashboard_port: Port = 17100
    auth_port: Port = 17101
    intake_port: Port = 17102
    approval_port: Port = 17103
    search_port: Port = 17104
    relay_port: Port = 17105
    sink_port: Port = 17106
    verifier_port: Port = 17107
    exporter_port: Port = 17108
    analytics_port: Port = 17109
    postgres_port: Port = 17110
    kafka_port: Port = 17111
    kafka_controller_port: Port = 17112
    zipkin_port: Port = 17113
    receiver_port: Port = 17114
    prometheus_port: Port = 17115
    airflow_port: Port = 17116
    lineage_port: Port = 17117
    clamd_port: Port = 17118

    @classmethod
    def on_free_ports(cls, home: Path, among: range = SPARE_PORTS, **others: Any) -> Self:
        """Settings for a platform beside others: state in `home`, every port one that is free now, without Airflow.

        `among` is where the ports are looked for, `others` are further settings by name.
        """
        candidates = iter(random.sample(among, 1000))
        names = [name for name in cls.model_fields if name.endswith("_port")]
        ports: dict[str, Any] = {name: next(filter(_is_free, candidates)) for name in names}
        return cls(home=home, airflow=False, **ports, **others)

    def port_of(self, setting: str) -> int:
        """The port that the setting `<name>_port` holds."""
        return int(getattr(self, setting))

    @staticmethod
    def variable(setting: str) -> str:
        """The environment variable that changes a setting."""
        return f"CREDITMESH_{setting.upper()}"

    def http(self, name: str) -> str:
        """Base URL of the process whose port setting is `<name>_port`."""
        return f"{'https' if self.tls else 'http'}://{HOST}:{self.port_of(f'{name}_port')}"

    @property
    def certificates(self) -> Certificates | None:
        """The certificates of a platform that speaks TLS; they are made when it is started."""
        return Certificates(Home(self.home.resolve()).secrets / "tls") if self.tls else None

    def trust(self) -> ssl.SSLContext:
        """What a client of the platform's own trusts: its authority, or nobody without TLS and before the first start.

        Loading the certificates of the world would cost each client 20 ms.
        """
        if self.certificates is None or not self.certificates.authority.exists():
            return _NOBODY
        return self.certificates.client_context()

    @property
    def kafka_bootstrap(self) -> str:
        """What clients of Kafka connect to."""
        return f"{HOST}:{self.kafka_port}"


def _is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True
