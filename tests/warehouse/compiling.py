"""Compile the dbt project without a server, hooks included."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from services.platform.settings import ROOT
from tests.warehouse.forks import Forks

DBT = ROOT / ".venv-airflow" / "bin" / "dbt"


# dbt compiles no hook. Behind a model's own statement they are compiled in its name.
MARK = "-- hook --"
OWN_HOOK = re.compile(r'"(\{\{ (?:delete|note|redo)_\w+\(.*\) \}\})"')
BEFORE = ("open_state()", "open_watermarks()", "open_partitions()")
BEHIND = (
    "note_all_partitions()",
    "forget_affected()",
    "close_watermarks()",
    "close_partitions()",
    "close_state()",
)
RENEWED = (
    "renewed(this, this.incorporate(path={'identifier': 'made'}), ['a', 'b'], ['a', 'b', 'c']) if execute"
)
SET_ASIDE = "note_set_aside(rules_of(this.identifier)['keys'])"
AT_BOTH_ENDS = (
    "create_build_schema()",
    "create_watermarks()",
    "create_partitions()",
    "create_quarantine()",
    "create_states()",
    "note_tested(['sat_loan', 'sat_party'])",
    "batches_of(['sat_loan'])",
)


def with_hooks(folder: Path, target: str) -> Path:
    """A copy of the project in which every model says its hooks, and one of them those of the whole run.

    PostgreSQL asks its catalogue in the latter, so they are left out for it.
    """
    project = folder / "project"
    if not project.exists():
        shutil.copytree(ROOT / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
        for path in (project / "models").rglob("*.sql"):
            text = path.read_text()
            own = OWN_HOOK.findall(text)
            assert len(own) == sum(text.count(f"{{{{ {kind}_") for kind in ("delete", "note", "redo")), path
            called = [
                *BEFORE,
                *(hook.removeprefix("{{ ").removesuffix(" }}") for hook in own),
                *([RENEWED] if "incremental_strategy='renew'" in text else []),
                *([SET_ASIDE] if path.parent.name == "ods" else []),
                *BEHIND,
                *(AT_BOTH_ENDS if path.stem == "reporting_date" and target == "production" else []),
            ]
            path.write_text("\n".join([text, *(f"{MARK}\n{{{{ {hook} }}}}" for hook in called)]))
    return project


async def compiled(
    forks: Forks, folder: Path, *, incremental: bool, target: str = "production", **environment: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Compile everything without a server, as for a first run or for one that adds.

    Args:
        forks: where dbt is already imported.
        folder: where the copy of the project and what dbt parses and compiles go.
        incremental: whether models are compiled as for a run that adds.
        target: `production` for SQL Server, `embedded` for PostgreSQL.
        environment: further variables of dbt's process.

    Returns:
        The statements of the models by their names, without hooks; and those of hooks and tests by any name.
    """
    project = with_hooks(folder, target)
    process = await forks.start(
        (
            str(DBT),
            *("compile", "--select", "resource_type:model", "resource_type:test"),
            *("--target", target, "--no-introspect", "--no-populate-cache"),
            *("--project-dir", str(project), "--profiles-dir", str(project)),
            *("--target-path", str(folder), "--log-path", str(folder)),
            *("--vars", f"{{compile_incremental: {str(incremental).lower()}, as_of_date: '2026-09-15'}}"),
        ),
        {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ} | environment,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-4000:]
    models: dict[str, str] = {}
    others: dict[str, str] = {}
    for path in (folder / "compiled" / "creditmesh" / "models").rglob("*.sql"):
        statement, *hooks = path.read_text().split(MARK)
        if path.parent.suffix == ".yml":
            others[path.stem] = statement
        else:
            models[path.stem] = statement.strip()
            others |= {f"{path.stem}: hook {number}": hook for number, hook in enumerate(hooks)}
            path.write_text(statement.strip() + "\n")
    return models, others
