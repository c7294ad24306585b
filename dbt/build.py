"""Build a part of the warehouse with dbt, and tell who asks where the time went and what came from where.

    python dbt/build.py --select path:models/ods [--tests all] [--full-refresh] [--vars '{as_of_date: 2026-06-30}']

Takes WAREHOUSE_URL (an SQLAlchemy URL of the transformer's login) and, where they are set: TRACEPARENT (parent of the
spans), OTEL_EXPORTER_OTLP_ENDPOINT, the OpenLineage client's variables with OPENLINEAGE_PARENT_ID, DBT_TARGET_PATH.
Progress goes to stdout as dbt prints it; the last line is a JSON object. Ends with dbt's status.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner
from reporting import Lineage, Reported, emit_lineage, emit_spans
from sqlalchemy.engine import make_url

PROJECT = Path(__file__).resolve().parent
TARGETS = {"postgresql": "embedded", "mssql": "production"}
KEPT_RESULTS = 200
PARSED = "partial_parse.msgpack"
# Unit tests test the models' code, with rows of their own: once for a change of the code, not for every load.
LEFT_OUT = {"all": (), "data": ("unit_test",), "none": ("test", "unit_test")}
BATCHES = re.compile(r"^read batches (\[.*\])$")


class NoWarehouse(Exception):
    """WAREHOUSE_URL is missing or is none that dbt can use."""


def profile_variables(url: str | None) -> dict[str, str]:
    """What profiles.yml reads, from an SQLAlchemy URL.

    Raises:
        NoWarehouse: naming what is wrong, never the URL, which holds a password.
    """
    if not url:
        raise NoWarehouse("set WAREHOUSE_URL to the transformer's SQLAlchemy URL of the warehouse")
    parts = make_url(url)
    engine = parts.get_backend_name()
    if engine not in TARGETS:
        raise NoWarehouse(f"WAREHOUSE_URL names the engine {engine}; known are {', '.join(TARGETS)}")
    if not (parts.host and parts.username and parts.database):
        raise NoWarehouse("WAREHOUSE_URL must name host, user and database")
    variables = {
        "DBT_TARGET": TARGETS[engine],
        "WAREHOUSE_HOST": parts.host,
        "WAREHOUSE_PORT": str(parts.port or (5432 if engine == "postgresql" else 1433)),
        "WAREHOUSE_USER": parts.username,
        "WAREHOUSE_PASSWORD": parts.password or "",
        "WAREHOUSE_DATABASE": parts.database,
    }
    driver = parts.query.get("driver")
    if isinstance(driver, str):
        variables["WAREHOUSE_DRIVER"] = driver
    trust = parts.query.get("TrustServerCertificate")
    if isinstance(trust, str):
        variables["WAREHOUSE_TRUST_CERT"] = str(trust.lower() == "yes")
    return variables


def target_folder(select: str, environment: Mapping[str, str]) -> Path:
    """Where dbt keeps what it parsed and found; one a selection, so that two may run at once."""
    base = Path(environment.get("DBT_TARGET_PATH") or PROJECT / "target").resolve()
    return base / (re.sub(r"[^a-z0-9]+", "-", select.lower()).strip("-") or "all")


def begin_with_what_is_parsed(target: Path) -> None:
    """Give a selection's first build what dbt has parsed for another: parsing does not depend on the selection.

    dbt itself detects outdated or unreadable parts, and parses them again.
    """
    others = sorted(target.parent.glob(f"*/{PARSED}"), key=lambda path: path.stat().st_mtime)
    if others and not (target / PARSED).exists():
        shutil.copy(others[-1], target / PARSED)


class Listener:
    """Hears from dbt which batches each model has read, as the macro report_batches logs them."""

    def __init__(self) -> None:
        self.batches: list[dict[str, Any]] = []

    def __call__(self, event: Any) -> None:
        """Take one event of dbt."""
        if event.info.name == "JinjaLogInfo" and (found := BATCHES.match(event.info.msg.strip())):
            self.batches += json.loads(found.group(1))


def keep_results(target: Path) -> None:
    """Keep a copy of this run's results, and of the last KEPT_RESULTS."""
    results = target / "run_results.json"
    invocation = json.loads(results.read_text())["metadata"]
    folder = target / "runs"
    folder.mkdir(exist_ok=True)
    name = f"{invocation['generated_at'][:19].replace(':', '')}-{invocation['invocation_id']}.json"
    shutil.copy(results, folder / name)
    for old in sorted(folder.iterdir())[:-KEPT_RESULTS]:
        old.unlink()


def summary(select: str, target: Path, reported: Reported, lineage: Lineage) -> dict[str, Any]:
    """The line that the caller reads."""
    results = json.loads((target / "run_results.json").read_text())["results"]
    states: dict[str, int] = {}
    for result in results:
        states[result["status"]] = states.get(result["status"], 0) + 1
    return {
        "select": select,
        "nodes": len(results),
        "states": states,
        "batch_id": max((batch["batch_id"] for batch in reported.batches), default=None),
        "invocation_id": reported.invocation_id,
        "traceparent": reported.traceparent,
        "lineage": {"sent": lineage.sent, "unsent": lineage.unsent},
    }


def build(select: str, *, tests: str, full_refresh: bool, variables: str | None, extra: Sequence[str]) -> int:
    """Run `dbt build`, report it, and give its exit status.

    Raises:
        NoWarehouse: there is no warehouse to build.
    """
    os.environ.update(profile_variables(os.environ.get("WAREHOUSE_URL")))
    target = target_folder(select, os.environ)
    target.mkdir(parents=True, exist_ok=True)
    (target / "run_results.json").unlink(missing_ok=True)
    begin_with_what_is_parsed(target)
    command = [
        "build",
        *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
        *("--target-path", str(target), "--log-path", str(target / "logs")),
        # Of every statement and event there would be a line: a sixth of a build's time. What was run is in `target`.
        *("--log-level-file", "info"),
        *("--select", *select.split()),
        # A test that also reads a later layer belongs to that layer's build.
        *("--indirect-selection", "buildable"),
        *(part for kind in LEFT_OUT[tests] for part in ("--exclude-resource-type", kind)),
        *(["--full-refresh"] if full_refresh else []),
        *(["--vars", variables] if variables else []),
        *extra,
    ]
    listener = Listener()
    done = dbtRunner(callbacks=[listener]).invoke(command)
    if done.exception is not None:
        print(f"dbt could not build {select}: {done.exception}", file=sys.stderr)
    if not (target / "run_results.json").exists():
        return 2
    keep_results(target)
    lineage = emit_lineage(PROJECT, target, success=done.success)
    reported = emit_spans(select, target, listener.batches, lineage, success=done.success)
    print(json.dumps(summary(select, target, reported, lineage)))
    return 0 if done.success else 1


def main() -> int:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--select", required=True, help="what dbt builds, such as path:models/ods")
    parser.add_argument(
        "--tests", choices=LEFT_OUT, default="data", help="data: all but the unit tests of the models' code"
    )
    parser.add_argument("--full-refresh", action="store_true", help="rebuild incremental models")
    parser.add_argument("--vars", help="dbt variables, YAML")
    arguments, extra = parser.parse_known_args()
    try:
        return build(
            arguments.select,
            tests=arguments.tests,
            full_refresh=arguments.full_refresh,
            variables=arguments.vars,
            extra=extra,
        )
    except NoWarehouse as problem:
        print(f"dbt/build.py: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
