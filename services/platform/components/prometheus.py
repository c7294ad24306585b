"""Embedded Prometheus, from the distribution: installed, or else unpacked from its package."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from string import Template
from typing import Any

from services.chassis.files import write_private
from services.platform.components.component import Component, Program, Tell
from services.platform.components.debian import unpack
from services.platform.readiness import answers
from services.platform.settings import FOR_READERS, HOST, ROOT, PlatformSettings

BASE = ROOT / "observability" / "prometheus" / "prometheus.yml"
ALERTS = ROOT / "observability" / "alerts"
SCRAPED = (
    "auth",
    "intake",
    "approval",
    "search",
    "dashboard",
    "relay",
    "sink",
    "verifier",
    "exporter",
    "analytics",
    "lineage",
    "receiver",
    "prometheus",
)


def binary(name: str, tools: Path) -> Path:
    """Path of `prometheus` or `promtool`.

    Raises:
        NotAvailableError: neither is it installed, nor can its package be downloaded.
    """
    installed = shutil.which(name)
    if installed is not None:
        return Path(installed)
    folder = tools / "prometheus"
    if not folder.exists():
        unpack("prometheus", ("prometheus",), folder)
    return folder / "usr" / "bin" / name


def page(settings: PlatformSettings) -> str:
    """What a browser should open: the web pages, or where the package is only unpacked, its targets as JSON.

    Debian's build looks for its pages at a place in the file system that only an installation fills.
    """
    address = settings.http("prometheus")
    if shutil.which("prometheus"):
        return address
    return f"{address}/api/v1/targets (its web pages come with an installed package)"


def alerts(file: Path, *, after_seconds: float) -> str:
    """The rules in `file`, with alerts that fire after the given number of seconds.

    Unknown variables are Prometheus' own, such as `{{ $value }}`, and stay unchanged.
    """
    return Template(file.read_text()).safe_substitute(after=f"{after_seconds:g}")


class Prometheus(Component):
    """The metrics store; scrapes every process, keeps exemplars."""

    name = "prometheus"
    ports = ("prometheus_port",)
    required = False

    async def prepare(self, tell: Tell) -> None:
        """Have the binary and the configuration."""
        tell("looking for the binary")
        await asyncio.to_thread(binary, "prometheus", self.settings.tools)
        targets = self.home.run / "prometheus.targets.json"
        write_private(targets, json.dumps(self._targets(), indent=2))
        rules = self.home.run / "alerts"
        rules.mkdir(exist_ok=True)
        for file in ALERTS.glob("*.yaml"):
            write_private(rules / file.name, alerts(file, after_seconds=self.settings.alert_after))
        certificates = self.settings.certificates
        configuration = Template(BASE.read_text()).substitute(
            targets=targets,
            rules=rules,
            scheme="https" if certificates else "http",
            authority=certificates.authority if certificates else "",
        )
        write_private(self._configuration, configuration)
        if certificates:
            served = {"cert_file": str(certificates.server), "key_file": str(certificates.server_key)}
            # JSON is YAML.
            write_private(self._web_configuration, json.dumps({"tls_server_config": served}))

    def program(self) -> Program:
        """Prometheus' process."""
        certificates = self.settings.certificates
        command = (
            str(binary("prometheus", self.settings.tools)),
            f"--config.file={self._configuration}",
            f"--storage.tsdb.path={self.home.data / 'prometheus'}",
            f"--web.listen-address={HOST}:{self.settings.prometheus_port}",
            "--enable-feature=exemplar-storage",
            *([f"--web.config.file={self._web_configuration}"] if certificates else []),
        )
        environment = certificates.environment() if certificates else {}
        return Program(self.name, command, self.home.run, environment)

    async def ready(self) -> None:
        """It is ready by its own account."""
        await answers(self.settings, "prometheus", "/-/ready")

    @property
    def _configuration(self) -> Path:
        return self.home.run / "prometheus.yml"

    @property
    def _web_configuration(self) -> Path:
        return self.home.run / "prometheus.web.yml"

    def _targets(self) -> list[dict[str, Any]]:
        own: list[dict[str, Any]] = [
            {"targets": [f"{HOST}:{self.settings.port_of(f'{job}_port')}"], "labels": {"job": job}}
            for job in SCRAPED
            if not (self.settings.core and job in FOR_READERS)
        ]
        elsewhere = {"zipkin": "/prometheus"}
        if self.settings.airflow:
            elsewhere["airflow"] = "/flows/metrics"
        others: list[dict[str, Any]] = [
            {
                "targets": [f"{HOST}:{self.settings.port_of(f'{job}_port')}"],
                "labels": {"job": job, "__metrics_path__": path},
            }
            for job, path in elsewhere.items()
        ]
        return [*own, *others]
