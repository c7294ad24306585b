"""The mesh's own processes: their migrations, seeds and environments."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.chassis.files import write_private
from services.platform.components.component import Component, Program, Tell
from services.platform.components.kafka import access
from services.platform.components.postgres import database_url
from services.platform.errors import PlatformError
from services.platform.home import OWNER, PARTNER, PRIVATE, Home
from services.platform.readiness import answers
from services.platform.settings import HOST, ROOT, PlatformSettings
from services.platform.users import USERS

# Which one-shot commands make a database what the services expect, by kind of database, in this order.
MIGRATIONS: Mapping[str, tuple[str, ...]] = {
    "lake": ("services.lake.main",),
    "application": (
        "services.auth.main",
        "services.search.main",
        "services.replicator.main",
        "services.dashboard.main",
        "services.lineage.main",
    ),
    "warehouse": ("services.loader.main", "services.analytics.main"),
}
URL_VARIABLE = {"lake": "LAKE_URL", "application": "APPLICATION_URL", "warehouse": "WAREHOUSE_URL"}
# Variables that our processes inherit from the shell that started the platform.
INHERITED = (
    *("COVERAGE_PROCESS_START", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ"),
    # Where unixODBC finds its drivers and sources; without them a process on SQL Server has no driver.
    *("ODBCINI", "ODBCINSTINI", "ODBCSYSINI"),
)


@dataclass(frozen=True, slots=True)
class Service:
    """A supervised process of the mesh: what runs, and under which login it enters which database."""

    name: str
    command: tuple[str, ...]
    logins: Mapping[str, str]
    needs: tuple[str, ...]
    beside: tuple[str, ...] = ("auth",)
    uses_kafka: bool = False
    has_pages: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


SERVICES = (
    Service(
        "auth",
        ("services.auth.main",),
        {"application": "auth"},
        ("auth-schema",),
        beside=(),
        has_pages=True,
    ),
    # It needs no Kafka to start: it answers its API without, and reads records when the broker is there.
    Service(
        "intake",
        ("services.intake.main",),
        {"lake": "intake"},
        ("lake-schema",),
        uses_kafka=True,
        has_pages=True,
        environment={"KAFKA_SENDERS": json.dumps({str(PARTNER): ["applications"]})},
    ),
    Service(
        "approval",
        ("services.approval.main",),
        {"lake": "approval"},
        ("lake-schema",),
        has_pages=True,
        # The demo's loans are spread over the last two years.
        environment={"VALUE_DATE_DAYS_BACK": "1100"},
    ),
    Service(
        "search",
        ("services.search.main",),
        {"lake": "search", "application": "search"},
        ("lake-schema", "search-schema", "replica-schema"),
        has_pages=True,
    ),
    Service("dashboard", ("services.dashboard.main",), {"application": "dashboard"}, ("dashboard-schema",)),
    Service(
        "relay",
        ("services.replicator.main", "relay"),
        {"lake": "relay", "application": "relay"},
        ("lake-schema", "replica-schema", "kafka-logins"),
        beside=(),
        uses_kafka=True,
    ),
    Service(
        "sink",
        ("services.replicator.main", "sink"),
        {"lake": "sink", "application": "sink"},
        ("lake-schema", "replica-schema", "kafka-logins"),
        beside=(),
        uses_kafka=True,
    ),
    Service(
        "verifier",
        ("services.replicator.main", "verifier"),
        {"lake": "verifier", "application": "verifier"},
        ("lake-schema", "replica-schema"),
        beside=(),
    ),
    Service(
        "exporter",
        ("services.loader.main", "exporter"),
        {"warehouse": "loader"},
        ("warehouse-schema",),
        beside=(),
    ),
    Service(
        "analytics",
        ("services.analytics.main",),
        {"warehouse": "reporting"},
        ("serving-schema",),
        has_pages=True,
    ),
    Service("lineage", ("services.lineage.main",), {"application": "lineage"}, ("lineage-schema",)),
)


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module of ours."""
    return (sys.executable, "-m", module, *arguments)


def inherited() -> dict[str, str]:
    """The part of this process's environment that ours get."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def telemetry_environment(settings: PlatformSettings) -> dict[str, str]:
    """Where a process sends its spans, and how many of them."""
    certificates = settings.certificates
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": settings.http("receiver"),
        "OTEL_TRACES_SAMPLER": settings.traces_sampler,
        **({"OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificates.authority)} if certificates else {}),
    }


def tls_environment(settings: PlatformSettings) -> dict[str, str]:
    """The HTTPS settings of a process, and the authority that its clients trust; empty without TLS."""
    certificates = settings.certificates
    if certificates is None:
        return {}
    return {
        **certificates.environment(),
        "HTTP_TLS_CERTIFICATE_FILE": str(certificates.server),
        "HTTP_TLS_KEY_FILE": str(certificates.server_key),
        "SSL_CERT_FILE": str(certificates.authority),
    }


async def run_once(
    module: str, *arguments: str, environment: Mapping[str, str], stdin: str | None = None
) -> str:
    """Run a one-shot command of a service, with `stdin` as its input, and return what it printed.

    Raises:
        PlatformError: it ended with a status other than 0; the message holds the end of its output.
    """
    process = await asyncio.create_subprocess_exec(
        *python(module, *arguments),
        cwd=ROOT,
        env=inherited() | dict(environment),
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        umask=PRIVATE,
    )
    try:
        output, _ = await process.communicate(None if stdin is None else stdin.encode())
    except asyncio.CancelledError:  # another part of the start has failed
        process.kill()
        await process.wait()
        raise
    said = output.decode(errors="replace").strip()
    if process.returncode:
        last = "\n".join(said.splitlines()[-15:])
        raise PlatformError(
            f"`{module} {' '.join(arguments)}` ended with status {process.returncode}:\n{last}"
        )
    return said


class Step(Component):
    """A one-shot command of a service, run with one login on one database."""

    is_step = True

    def __init__(
        self,
        settings: PlatformSettings,
        home: Home,
        *,
        name: str,
        needs: tuple[str, ...],
        command: tuple[str, ...],
        database: str,
        login: str = OWNER,
        reads: Path | None = None,
    ) -> None:
        """`reads`: a folder outside the services whose change has the step done again."""
        super().__init__(settings, home)
        self.name = name
        self.needs = needs
        self._command = command
        self._database = database
        self._login = login
        self._reads = reads

    async def prepare(self, tell: Tell) -> None:
        """Run the command, unless it ran on these data already and nothing it does can have changed since."""
        stdin = self.input()
        stamp = self.home.steps / self.name
        fingerprint = await asyncio.to_thread(_fingerprint, *self._command, stdin or "", reads=self._reads)
        if stamp.exists() and stamp.read_text() == fingerprint:
            tell("nothing to do")
            return
        tell(self._command[1])
        url = _url(self.settings, self.home, self._database, self._login)
        await run_once(*self._command, environment={URL_VARIABLE[self._database]: url}, stdin=stdin)
        write_private(stamp, fingerprint)

    def input(self) -> str | None:
        """What the command reads."""
        return None

    def program(self) -> None:
        """A step, not a process."""
        return


class UsersStep(Step):
    """Adds the users that are missing; their passwords are generated once into `secrets/logins.json`."""

    def input(self) -> str:
        """The users as auth's `create-users` reads them."""
        known = passwords(self.home)
        if USERS.keys() - known.keys():
            known = {username: secrets.token_urlsafe(12) for username in USERS} | known
            write_private(logins_file(self.home), json.dumps(known, indent=2) + "\n")
        return json.dumps(
            [
                {
                    "username": username,
                    "display_name": name,
                    "roles": [role],
                    "password": known[username],
                    # Nobody but the owner of this home has seen it.
                    "must_change_password": False,
                }
                for username, (name, role) in USERS.items()
            ]
        )


class ServiceProcess(Component):
    """A process of the mesh."""

    def __init__(self, settings: PlatformSettings, home: Home, service: Service) -> None:
        super().__init__(settings, home)
        self.name = service.name
        self.needs = service.needs
        self.beside = service.beside
        self.ports = (f"{service.name}_port",)
        self._service = service

    def program(self) -> Program:
        """The process with its own environment."""
        settings = self.settings
        environment = inherited() | {
            "HTTP_HOST": HOST,
            "HTTP_PORT": str(settings.port_of(self.ports[0])),
            "LOG_LEVEL": settings.log_level,
            "AUTH_ISSUER": "creditmesh",
            "AUTH_JWKS_URL": f"{settings.http('auth')}/.well-known/jwks.json",
            **telemetry_environment(settings),
            **tls_environment(settings),
            **{f"RATE_LIMIT_{name.upper()}": limit for name, limit in settings.rate_limits.items()},
            **self._service.environment,
        }
        for database, login in self._service.logins.items():
            environment[URL_VARIABLE[database]] = _url(settings, self.home, database, login)
        if self._service.uses_kafka:
            environment |= access(settings, self.home, self.name).environment()
        if self._service.has_pages:
            environment["CURSOR_KEY"] = self.home.secret("cursor_key")
        if self.name == "auth":
            environment["AUTH_KEY_ENCRYPTION_KEY"] = self.home.auth_key_encryption_key()
        if self.name == "dashboard":
            # It verifies no token itself: it uses what auth has given it, and auth says whether that goes on.
            del environment["AUTH_JWKS_URL"]
            environment["DASHBOARD_URL"] = settings.http("dashboard")
            environment["DASHBOARD_SESSION_KEYS"] = self.home.fernet_key("dashboard_session_key")
            for name in ("auth", "intake", "approval", "search", "analytics"):
                environment[f"{name.upper()}_URL"] = settings.http(name)
            environment["PROMETHEUS_URL"] = settings.http("prometheus")
            environment["TRACES_URL"] = settings.http("zipkin")
        if self.name == "intake":
            environment["PERSON_TAG_KEY"] = self.home.secret("person_tag_key")
            environment["OBJECT_STORE_URL"] = (self.home.data / "objects").as_uri()
            environment["OBJECT_STORE_KEYS"] = self.home.fernet_key("object_store_key")
            environment["BUREAU"] = "simulated"
            environment["BUREAU_KEY"] = self.home.secret("bureau_key")
            if settings.scan:
                environment["DOCUMENT_SCANNER"] = f"clamd://{HOST}:{settings.clamd_port}"
        return Program(self.name, python(*self._service.command), ROOT, environment, stop_seconds=30)

    async def ready(self) -> None:
        """It is ready by its own account."""
        await answers(self.settings, self.name, "/readyz")


def mesh(settings: PlatformSettings, home: Home) -> list[Component]:
    """Migrations, seeds and services, in the order of their needs."""

    def step(name: str, module: str, command: str, database: str, need: str = "databases") -> Step:
        return Step(settings, home, name=name, needs=(need,), command=(module, command), database=database)

    users = UsersStep(
        settings,
        home,
        name="users",
        needs=("auth-schema",),
        command=("services.auth.main", "create-users"),
        database="application",
        login="auth",
    )
    return [
        step("auth-schema", "services.auth.main", "migrate", "application"),
        step("lake-schema", "services.lake.main", "migrate", "lake"),
        step("replica-schema", "services.replicator.main", "migrate", "application"),
        step("search-schema", "services.search.main", "migrate", "application"),
        step("dashboard-schema", "services.dashboard.main", "migrate", "application"),
        step("lineage-schema", "services.lineage.main", "migrate", "application"),
        Step(
            settings,
            home,
            name="warehouse-schema",
            needs=("databases",),
            command=("services.loader.main", "migrate", "--flows", str(settings.flows)),
            database="warehouse",
            reads=settings.flows,
        ),
        step("serving-schema", "services.analytics.main", "migrate", "warehouse", need="warehouse-schema"),
        *(ServiceProcess(settings, home, service) for service in SERVICES),
        users,
        *(
            [step("samples", "services.lake.main", "seed-samples", "lake", need="lake-schema")]
            if settings.samples
            else []
        ),
    ]


def _fingerprint(module: str, *arguments: str, reads: Path | None) -> str:
    """Changes when a step could do something else: its input, its service, or what every service is built on."""
    digest = hashlib.sha256(repr((module, arguments)).encode())
    service = module.split(".")[1]
    services = [ROOT / "services" / name for name in sorted({"chassis", "lake", service})]
    for folder in (*services, *([reads] if reads else [])):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(str(path.relative_to(folder.parent)).encode())
                digest.update(path.read_bytes())
    digest.update((ROOT / "uv.lock").read_bytes())
    return digest.hexdigest()


def logins_file(home: Home) -> Path:
    """Where the passwords of the seeded users are, by user name."""
    return home.secrets / "logins.json"


def passwords(home: Home) -> dict[str, str]:
    """The passwords of the seeded users, by user name; empty before they are seeded."""
    path = logins_file(home)
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _url(settings: PlatformSettings, home: Home, database: str, login: str) -> str:
    return database_url(settings.postgres_port, database, login, home.database_password(login))
