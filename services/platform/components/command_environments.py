"""What the commands of loader, dbt and approval are given: by Airflow's tasks, or by a person without Airflow."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from services.chassis.files import write_private
from services.platform.components.component import Component, Tell
from services.platform.components.kafka import access
from services.platform.components.mesh import telemetry_environment
from services.platform.components.postgres import database_url
from services.platform.home import Home
from services.platform.settings import ROOT, PlatformSettings


def command_environments(home: Home) -> tuple[Path, Path]:
    """The files with the environments of the loader and of dbt: a line `NAME=value` a variable, values unquoted."""
    return home.secrets / "loader.env", home.secrets / "dbt.env"


def approval_environment_file(home: Home) -> Path:
    """The file with the environment of approval's commands, in the same form."""
    return home.secrets / "approval.env"


def approval_environment(settings: PlatformSettings, home: Home) -> dict[str, str]:
    """What approval's commands are given."""
    return {
        **telemetry_environment(settings),
        "LAKE_URL": _url(settings, home, "lake", "approval"),
    }


def loader_environment(settings: PlatformSettings, home: Home) -> dict[str, str]:
    """What the loader's commands are given."""
    return {
        **telemetry_environment(settings),
        # A flow may read APIs of anybody's.
        **({"SSL_CERT_FILE": str(settings.certificates.world)} if settings.certificates else {}),
        **_lineage_environment(settings, home, "loader"),
        "LOG_LEVEL": settings.log_level,
        **access(settings, home, "loader").environment(),
        "LAKE_URL": _url(settings, home, "lake", "loader"),
        "WAREHOUSE_URL": _url(settings, home, "warehouse", "loader"),
    }


def dbt_environment(settings: PlatformSettings, home: Home) -> dict[str, str]:
    """What dbt's commands are given."""
    return {
        **telemetry_environment(settings),
        **_lineage_environment(settings, home, "dbt"),
        "WAREHOUSE_URL": _url(settings, home, "warehouse", "transformer"),
        "DBT_TARGET_PATH": str(home.root / "dbt"),
    }


def lineage_transport(settings: PlatformSettings, home: Home, producer: str) -> dict[str, Any]:
    """Where the OpenLineage events of a producer go."""
    if settings.lineage_url:
        return {"type": "http", "url": settings.lineage_url}
    return {"type": "file", "log_file_path": str(home.lineage / f"{producer}.ndjson"), "append": True}


class CommandEnvironments(Component):
    """The files with the environments, which also a platform without Airflow has."""

    name = "command-environments"
    needs = ("databases",)
    is_step = True

    async def prepare(self, tell: Tell) -> None:
        """Write them; at every start, for ports and passwords may be others."""
        del tell
        loader, dbt = command_environments(self.home)
        for file, values in (
            (loader, loader_environment(self.settings, self.home)),
            (dbt, dbt_environment(self.settings, self.home)),
            (approval_environment_file(self.home), approval_environment(self.settings, self.home)),
        ):
            write_private(file, "".join(f"{name}={value}\n" for name, value in values.items()))

    def program(self) -> None:
        """A step, not a process."""
        return


def by_hand(home: Home, flow: str) -> str:
    """The commands that do for one flow of the loader what Airflow would, and then build the warehouse, in a shell."""
    loader, dbt = (shlex.quote(str(path)) for path in command_environments(home))

    def given(file: str, command: str) -> str:
        # A line is a variable whose value may hold blanks, but no quotes that a shell would read.
        return f'  (while IFS= read -r line; do export "$line"; done < {file}; {command})'

    return "\n".join(
        (
            f"  cd {shlex.quote(str(ROOT))}",
            given(loader, f".venv/bin/python -m services.loader.main run {shlex.quote(flow)}"),
            given(dbt, ".venv-airflow/bin/python dbt/build.py --select 'path:models path:seeds'"),
        )
    )


def _url(settings: PlatformSettings, home: Home, database: str, login: str) -> str:
    return database_url(settings.postgres_port, database, login, home.database_password(login))


def _lineage_environment(settings: PlatformSettings, home: Home, producer: str) -> dict[str, str]:
    return {
        f"OPENLINEAGE__TRANSPORT__{name.upper()}": json.dumps(value) if isinstance(value, bool) else value
        for name, value in lineage_transport(settings, home, producer).items()
    }
