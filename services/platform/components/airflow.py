"""Embedded Airflow: its API server, scheduler and DAG processor, and the environment of its tasks' commands."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from services.chassis.files import write_private
from services.platform.components.certificates import Certificates
from services.platform.components.command_environments import (
    approval_environment_file,
    command_environments,
    lineage_transport,
)
from services.platform.components.component import Component, Program, Tell
from services.platform.components.mesh import inherited, telemetry_environment
from services.platform.components.postgres import database_url
from services.platform.errors import NotReadyYet, PlatformError
from services.platform.home import PRIVATE, Home
from services.platform.readiness import PROBE_SECONDS, answers
from services.platform.settings import HOST, ROOT, PlatformSettings

FOLDER = ROOT / "airflow"
BINARIES = ROOT / ".venv-airflow" / "bin"
USER = "admin"
# A process without a heartbeat for this many seconds does not count as alive.
HEARTBEAT_SECONDS = 30
# The sample applications are up to two years old, and the demo's queue shows some of them.
EXPIRE_AFTER = "1100d"
# Airflow changes its processes' titles; the supervisor finds orphans by their environments.
KEEP_ENVIRONMENT = {"SPT_NOENV": "1"}


def logins_file(home: Home) -> Path:
    """The file with the password of Airflow's user, in the format of Airflow's login manager."""
    return home.secrets / "airflow_logins.json"


def password(home: Home) -> str:
    """The password of `USER`, made on first use."""
    file = logins_file(home)
    if not file.exists():
        write_private(file, json.dumps({USER: home.secret("airflow_password")}) + "\n")
    return str(json.loads(file.read_text())[USER])


def environment(settings: PlatformSettings, home: Home) -> dict[str, str]:
    """The environment of every Airflow process."""
    metadata = database_url(settings.postgres_port, "airflow", "airflow", home.database_password("airflow"))
    certificates = settings.certificates
    configured: Mapping[str, Any] = {
        "CORE": {
            "DAGS_FOLDER": FOLDER / "dags",
            "PLUGINS_FOLDER": FOLDER / "plugins",
            "LOAD_EXAMPLES": False,
            "DAGS_ARE_PAUSED_AT_CREATION": False,
            "EXECUTOR": "LocalExecutor",
            "PARALLELISM": 2,
            "FERNET_KEY": home.fernet_key("airflow_fernet_key"),
            "EXECUTION_API_SERVER_URL": f"{settings.http('airflow')}/execution/",
            "SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": logins_file(home),
        },
        "DATABASE": {
            "SQL_ALCHEMY_CONN": metadata.replace("+asyncpg", "+psycopg2"),
            "SQL_ALCHEMY_CONN_ASYNC": metadata,
        },
        "API": {
            "BASE_URL": settings.http("airflow"),
            "SECRET_KEY": home.secret("airflow_secret_key"),
            "WORKERS": 1,
            **_tls(certificates),
        },
        "API_AUTH": {"JWT_SECRET": home.secret("airflow_jwt_secret")},
        "LOGGING": {"BASE_LOG_FOLDER": home.logs / "airflow", "JSON_LOGS": True},
        "DAG_PROCESSOR": {
            "PARSING_PROCESSES": 1,
            # Each parse of the DAGs starts a process that imports Airflow; flow files seldom change.
            "MIN_FILE_PROCESS_INTERVAL": settings.flows_interval,
        },
        "TRACES": {"OTEL_ON": True},
        "OPENLINEAGE": {
            "NAMESPACE": "creditmesh",
            "TRANSPORT": json.dumps(lineage_transport(settings, home, "airflow")),
        },
        "USAGE_DATA_COLLECTION": {"ENABLED": False},
    }
    loader, dbt = command_environments(home)
    return (
        inherited()
        | telemetry_environment(settings)
        | KEEP_ENVIRONMENT
        | (certificates.environment() if certificates else {})
        | {
            "AIRFLOW_HOME": str(home.root / "airflow"),
            "MALLOC_ARENA_MAX": "2",
            "OTEL_SERVICE_NAME": "airflow",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            "CREDITMESH_PROJECT": str(ROOT),
            "CREDITMESH_FLOWS": str(settings.flows),
            "CREDITMESH_LOADER": shlex.join((sys.executable, "-m", "services.loader.main")),
            "CREDITMESH_LOADER_ENVIRONMENT": str(loader),
            "CREDITMESH_DBT": shlex.join((str(BINARIES / "python"), "dbt/build.py")),
            "CREDITMESH_DBT_ENVIRONMENT": str(dbt),
            "CREDITMESH_ANALYTICS": shlex.join((sys.executable, "-m", "services.analytics.main")),
            # It publishes by the login that builds.
            "CREDITMESH_ANALYTICS_ENVIRONMENT": str(dbt),
            "CREDITMESH_APPROVAL": shlex.join((sys.executable, "-m", "services.approval.main")),
            "CREDITMESH_APPROVAL_ENVIRONMENT": str(approval_environment_file(home)),
            "CREDITMESH_EXPIRE_AFTER": EXPIRE_AFTER,
            "CREDITMESH_ALERT_WEBHOOK": settings.alert_webhook,
        }
        | {
            f"AIRFLOW__{section}__{name}": str(value)
            for section, options in configured.items()
            for name, value in options.items()
        }
    )


def _tls(certificates: Certificates | None) -> dict[str, Path]:
    """The options of the API server's HTTPS, which its tasks' clients read too."""
    if certificates is None:
        return {}
    return {
        "SSL_CERT": certificates.server,
        "SSL_KEY": certificates.server_key,
        "SSL_CA_FILE": certificates.authority,
    }


class AirflowSchema(Component):
    """Airflow's metadata database with its tables and pools, and the file of its login."""

    name = "airflow-schema"
    needs = ("databases", "command-environments")
    is_step = True

    async def prepare(self, tell: Tell) -> None:
        """Migrate, unless this Airflow has already done so on these data."""
        password(self.home)
        stamp = self.home.steps / self.name
        done = hashlib.sha256(
            (ROOT / "uv.lock").read_bytes() + (FOLDER / "pools.json").read_bytes()
        ).hexdigest()
        if stamp.exists() and stamp.read_text() == done:
            tell("nothing to do")
            return
        tell("db migrate")
        await self._airflow("db", "migrate")
        tell("pools import")
        await self._airflow("pools", "import", str(FOLDER / "pools.json"))
        write_private(stamp, done)

    def program(self) -> None:
        """A step, not a process."""
        return

    async def _airflow(self, *arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(
            str(binary()),
            *arguments,
            # It has nothing to trace, and must not wait for a receiver that has not started yet.
            env=environment(self.settings, self.home) | {"AIRFLOW__TRACES__OTEL_ON": "False"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            umask=PRIVATE,
        )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:  # another part of the start has failed
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            last = "\n".join(output.decode(errors="replace").strip().splitlines()[-15:])
            raise PlatformError(
                f"`airflow {' '.join(arguments)}` ended with status {process.returncode}:\n{last}"
            )


class AirflowProcess(Component):
    """One process of Airflow."""

    needs = ("airflow-schema",)
    command: tuple[str, ...]
    stop_seconds = 10

    def program(self) -> Program:
        """The process; its child processes are stopped with it."""
        return Program(
            self.name,
            (str(binary()), *self.command),
            ROOT,
            environment(self.settings, self.home),
            stop_seconds=self.stop_seconds,
        )


class AirflowApi(AirflowProcess):
    """The API server: web pages, REST API, the tasks' API, and the page of metrics."""

    name = "airflow-api"
    ports = ("airflow_port",)

    def __init__(self, settings: PlatformSettings, home: Home) -> None:
        super().__init__(settings, home)
        self.command = ("api-server", "--host", HOST, "--port", str(settings.airflow_port), "--workers", "1")

    async def ready(self) -> None:
        """It answers."""
        await answers(self.settings, "airflow", "/api/v2/version")


class AirflowScheduler(AirflowProcess):
    """The scheduler, and the workers of its executor."""

    name = "airflow-scheduler"
    # Its tasks report to the API server.
    beside = ("airflow-api", "receiver", "lake-schema", "warehouse-schema", "kafka-logins")
    command = ("scheduler", "--skip-serve-logs")
    # It waits for its tasks, which end their commands first. After the limit, work is rolled back and repeated.
    stop_seconds = 20

    async def ready(self) -> None:
        """It has said that it works."""
        await self.ready_since(0)

    async def ready_since(self, started: float) -> None:
        """It has said that it works since it was started: Airflow keeps what the one before it said."""
        await beats(self.settings, "scheduler", since=started)


class AirflowDagProcessor(AirflowProcess):
    """The process that reads the DAGs."""

    name = "airflow-dag-processor"
    beside = ("airflow-api",)
    command = ("dag-processor",)

    async def ready(self) -> None:
        """It has said that it works."""
        await self.ready_since(0)

    async def ready_since(self, started: float) -> None:
        """It has said that it works since it was started: Airflow keeps what the one before it said."""
        await beats(self.settings, "dag_processor", since=started)


def binary() -> Path:
    """Airflow's command.

    Raises:
        PlatformError: its environment is not installed.
    """
    path = BINARIES / "airflow"
    if not path.exists():
        raise PlatformError(
            f"{path} is missing; run `make install`, or set CREDITMESH_AIRFLOW=false to do without"
        )
    return path


async def beats(settings: PlatformSettings, process: str, *, since: float) -> None:
    """Return when `process` has said lately, and after `since` (seconds since 1970), that it works.

    Raises:
        NotReadyYet: it has not.
    """
    try:
        async with httpx.AsyncClient(
            timeout=PROBE_SECONDS, trust_env=False, verify=settings.trust()
        ) as client:
            answer = await client.get(f"{settings.http('airflow')}/api/v2/monitor/health")
    except httpx.HTTPError as error:
        raise NotReadyYet(f"Airflow's API does not answer: {str(error) or type(error).__name__}") from error
    said = answer.json().get(process) or {} if answer.status_code == 200 else {}
    last = said.get(f"latest_{process}_heartbeat")
    if last is None:
        raise NotReadyYet(f"no heartbeat of the {process} yet")
    beat = datetime.fromisoformat(last)
    if beat.timestamp() < since:
        raise NotReadyYet(f"no heartbeat of the {process} since it was started")
    age = (datetime.now(UTC) - beat).total_seconds()
    if age > HEARTBEAT_SECONDS:
        raise NotReadyYet(f"no heartbeat of the {process} for {age:.0f} s")


def airflow(settings: PlatformSettings, home: Home) -> list[Component]:
    """Airflow's step and processes; nothing when the settings leave it out."""
    if not settings.airflow:
        return []
    parts = (AirflowSchema, AirflowApi, AirflowScheduler, AirflowDagProcessor)
    return [part(settings, home) for part in parts]
