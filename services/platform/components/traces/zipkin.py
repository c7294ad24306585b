"""The embedded trace store: Zipkin, which keeps traces in memory and shows them, and its receiver."""

from __future__ import annotations

import asyncio

from services.platform.components import java, mesh
from services.platform.components.component import Component, Program, Tell
from services.platform.readiness import answers
from services.platform.settings import HOST, ROOT

JARS = "zipkin-3.6.1"
MAX_SPANS = 500_000


class Zipkin(Component):
    """Trace store and its user interface."""

    name = "zipkin"
    ports = ("zipkin_port",)

    async def prepare(self, tell: Tell) -> None:
        """Have the jar."""
        tell("fetching the jar")
        await asyncio.to_thread(java.jars, JARS, self.settings.tools)

    def program(self) -> Program:
        """Zipkin's process."""
        # Compiling less makes it start in half the time; it is never busy here.
        options = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
        jar = self.settings.tools / JARS / "zipkin-server-3.6.1-exec.jar"
        environment = {
            "ARMERIA_PORTS_0_IP": HOST,
            "ARMERIA_PORTS_0_PORT": str(self.settings.zipkin_port),
            "ARMERIA_PORTS_0_PROTOCOLS_0": "http",
            "QUERY_PORT": str(self.settings.zipkin_port),
            "STORAGE_TYPE": "mem",
            "MEM_MAX_SPANS": str(MAX_SPANS),
            "SELF_TRACING_ENABLED": "false",
        }
        if certificates := self.settings.certificates:
            environment |= certificates.environment() | {
                "ARMERIA_PORTS_0_PROTOCOLS_0": "https",
                "ARMERIA_SSL_ENABLED": "true",
                "ARMERIA_SSL_KEYSTORE": certificates.server_store.as_uri(),
                "ARMERIA_SSL_KEYSTORETYPE": "PKCS12",
                "ARMERIA_SSL_KEYSTOREPASSWORD": certificates.store_password_file.read_text(),
            }
        return Program(
            self.name, (java.java(), *options, "-jar", str(jar)), self.home.run, environment, stop_seconds=3
        )

    async def ready(self) -> None:
        """Its storage answers."""
        await answers(self.settings, "zipkin", "/health")


class Receiver(Component):
    """The OTLP receiver that the services export to."""

    name = "receiver"
    beside = ("zipkin",)
    ports = ("receiver_port",)

    def program(self) -> Program:
        """The receiver's process."""
        environment = mesh.inherited() | {
            "HTTP_HOST": HOST,
            "HTTP_PORT": str(self.settings.receiver_port),
            "LOG_LEVEL": self.settings.log_level,
            "ZIPKIN_URL": self.settings.http("zipkin"),
            **mesh.tls_environment(self.settings),
        }
        command = mesh.python("services.platform.components.traces.receiver")
        return Program(self.name, command, ROOT, environment)

    async def ready(self) -> None:
        """It is ready by its own account."""
        await answers(self.settings, "receiver", "/readyz")
