"""Print the DAGs as Airflow reads them, as JSON: for tests, which live in another environment.

Run by `.venv-airflow/bin/python` with Airflow's variables set; touches no database.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag

FOLDER = Path(__file__).resolve().parents[1]


def described() -> dict[str, Any]:
    """Errors of the import, and of each DAG what the tests compare."""
    sys.path.insert(0, str(FOLDER / "plugins"))
    bag = DagBag(str(FOLDER / "dags"))
    return {
        "errors": bag.import_errors,
        "dags": {
            name: {
                "schedule": type(dag.timetable).__name__,
                "max_active_runs": dag.max_active_runs,
                "catchup": dag.catchup,
                "tasks": [
                    {
                        "name": task.task_id,
                        "after": sorted(task.upstream_task_ids),
                        "pool": task.pool,
                        "retries": task.retries,
                        "minutes": task.execution_timeout.total_seconds() / 60,
                        "told": len(task.on_failure_callback),
                        "makes": [outlet.uri for outlet in task.outlets],
                    }
                    for task in dag.topological_sort()  # type: ignore[no-untyped-call]
                ],
            }
            for name, dag in bag.dags.items()
        },
    }


if __name__ == "__main__":
    print(json.dumps(described()))
