# ruff: noqa: INP001 - a module of docs/generate.py
"""The tables of the guides, each built from the code that it describes."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import records
import sqlalchemy as sa
import yaml
from markdown_table import table
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings
from request_limits import limits

from services.auth.tables import metadata as auth_tables
from services.lake.domain.roles import SCOPES
from services.lake.journal.tables import metadata as journal_tables
from services.lake.ownership import grants
from services.lake.tables import CAPTURED
from services.lake.tables.columns import metadata as lake_tables
from services.loader.flows.files import read_flows
from services.loader.tables import metadata as loader_tables
from services.platform.components.component import Component
from services.platform.components.mesh import MIGRATIONS, SERVICES, URL_VARIABLE
from services.platform.components.postgres import GRANTS
from services.platform.home import KAFKA_LOGINS, LOGINS, Home
from services.platform.platform import everything
from services.platform.settings import ROOT, PlatformSettings
from services.replicator.settings import ReplicatorSettings
from services.replicator.topics import LARGEST_RECORD_BYTES

SETTINGS = [
    "services.chassis.settings",
    "services.chassis.kafka_access",
    "services.auth.settings",
    "services.intake.settings",
    "services.approval.settings",
    "services.search.settings",
    "services.dashboard.settings",
    "services.lineage.settings",
    "services.replicator.settings",
    "services.loader.settings",
    "services.lake.settings",
    "services.cli.settings",
    "services.platform.settings",
]


def _code(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _components() -> list[Component]:
    # With what a profile adds.
    settings = PlatformSettings.model_construct(**{**_platform_defaults(), "scan": True})
    return everything(settings, Home(settings.home))


def _platform_defaults() -> dict[str, Any]:
    # Not from the environment: the guide says the same on every machine.
    return {name: field.default for name, field in PlatformSettings.model_fields.items()}


def processes() -> str:
    """The processes of ours, with what each enters."""
    ports = _platform_defaults()
    return table(
        "process|command|port|database logins|Kafka",
        (
            (
                service.name,
                f"`python -m {' '.join(service.command)}`",
                ports[f"{service.name}_port"],
                ", ".join(f"{database}: `{login}`" for database, login in service.logins.items()),
                "yes" if service.uses_kafka else "",
            )
            for service in SERVICES
        ),
    )


def ports() -> str:
    """Every port that the embedded platform listens on."""
    defaults = _platform_defaults()
    listens = {port: component.name for component in _components() for port in component.ports}
    return table(
        "port|what|listens|setting",
        (
            (defaults[name], name.removesuffix("_port").replace("_", " "), listens[name], f"`{variable}`")
            for name, variable in (
                (name, PlatformSettings.variable(name))
                for name in PlatformSettings.model_fields
                if name.endswith("_port")
            )
        ),
    )


def databases() -> str:
    """The databases, who creates their tables and who may connect."""
    return table(
        "database|variable|migrated by|logins",
        (
            (
                name,
                f"`{URL_VARIABLE[name]}`" if name in URL_VARIABLE else "",
                _code(*(f"{module} migrate" for module in MIGRATIONS.get(name, ()))) or "Airflow itself",
                ", ".join(logins),
            )
            for name, logins in GRANTS.items()
        ),
    )


def logins() -> str:
    """Every login, where it may connect, and what it may write in the lake."""
    writes: dict[str, set[str]] = defaultdict(set)
    for grant in grants():
        if grant.privilege != "SELECT":
            writes[grant.login].add(grant.table)
    return table(
        "login|databases|Kafka|writes in the lake",
        (
            (
                login,
                ", ".join(name for name, may in GRANTS.items() if login in may),
                "yes" if login in KAFKA_LOGINS else "",
                f"{len(writes[login])} tables" if len(writes[login]) > 3 else _code(*sorted(writes[login])),
            )
            for login in dict.fromkeys((*LOGINS, *KAFKA_LOGINS))
        ),
    )


def ownership() -> str:
    """Who writes which table of the lake, by the grants."""
    rights: dict[str, dict[str, list[str]]] = {}
    for grant in grants():
        if grant.privilege != "SELECT":
            said = grant.privilege + (f" of {', '.join(grant.columns)}" if grant.columns else "")
            rights.setdefault(grant.table, {}).setdefault(grant.login, []).append(said)
    return table(
        "table|may write",
        (
            (f"`{table}`", "; ".join(f"**{login}** {', '.join(may)}" for login, may in by_login.items()))
            for table, by_login in sorted(rights.items())
        ),
    )


def scopes() -> str:
    """Every scope and the roles that have it."""
    names = sorted(set().union(*SCOPES.values()))
    return table(
        "scope|roles",
        (
            (f"`{scope}`", ", ".join(role for role, given in SCOPES.items() if scope in given))
            for scope in names
        ),
    )


def topics() -> str:
    """The topics of the captured tables."""
    fields = ReplicatorSettings.model_fields
    prefix, partitions = fields["topic_prefix"].default, fields["topic_partitions"].default
    return table(
        "topic|key|partitions|largest record",
        (
            (
                f"`{prefix}{captured.schema}.{captured.name}`",
                ", ".join(column.name for column in captured.primary_key.columns),
                partitions,
                f"{LARGEST_RECORD_BYTES // 2**20} MiB",
            )
            for captured in CAPTURED
        ),
    )


def tables() -> str:
    """The tables that SQLAlchemy knows, by database and schema."""
    owned = (
        ("lake", lake_tables),
        ("lake", journal_tables),
        ("application", auth_tables),
        ("warehouse", loader_tables),
    )
    return table(
        "database|table|key|columns|captured",
        (
            (
                database,
                f"`{declared.fullname}`",
                ", ".join(column.name for column in declared.primary_key.columns),
                len(declared.columns),
                "yes" if declared in CAPTURED else "",
            )
            for database, metadata in owned
            for declared in _sorted(metadata)
        ),
    )


def _sorted(metadata: sa.MetaData) -> list[sa.Table]:
    return sorted(metadata.tables.values(), key=lambda table: table.fullname)


def flows() -> str:
    """The flows of the warehouse, as their files say."""
    found = read_flows(ROOT / "airflow" / "flows")
    return table(
        "flow|layer|connector|runs|fresh within|what it makes",
        (
            (
                flow.name,
                flow.layer,
                flow.connector,
                f"after {', '.join(flow.schedule.after)}"
                if flow.schedule.after
                else f"`{flow.schedule.cron}`",
                f"{flow.freshness_minutes} minutes",
                flow.description,
            )
            for flow in _in_order(found)
        ),
    )


def _in_order(flows: Mapping[str, Any]) -> Iterator[Any]:
    """Each flow behind those that it waits for."""
    told: set[str] = set()
    while len(told) < len(flows):
        for name in sorted(flows.keys() - told):
            if told.issuperset(flows[name].schedule.after or ()):
                told.add(name)
                yield flows[name]
                break


def settings() -> str:
    """Every setting of every process and command, from the classes that read them."""
    parts = []
    for name in SETTINGS:
        module = importlib.import_module(name)
        for cls in vars(module).values():
            if inspect.isclass(cls) and issubclass(cls, BaseSettings) and cls.__module__ == name:
                parts += [f"### {name.split('.')[1]}: {cls.__name__}", _about(cls), _settings_of(cls)]
    return "\n\n".join(part for part in parts if part)


def _about(cls: type[BaseSettings]) -> str:
    parents = [parent.__name__ for parent in cls.__bases__ if parent is not BaseSettings]
    first = (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
    where = f"`{cls.__module__.replace('.', '/')}.py`"
    inherits = f" It also has the settings of {' and '.join(parents)}." if parents else ""
    return f"{first} ({where}){inherits}"


def _settings_of(cls: type[BaseSettings]) -> str:
    prefix = str(cls.model_config.get("env_prefix") or "")
    own = [(name, field) for name, field in cls.model_fields.items() if name in inspect.get_annotations(cls)]
    rows = [
        (f"`{(prefix + name).upper()}`", _default(field), field.description or "port")
        for name, field in own
        if not name.endswith("_port") or cls is not PlatformSettings
    ]
    return table("variable|default|what it is", rows) if rows else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default is PydanticUndefined:
        return "computed"
    if isinstance(field.default, Path):
        return f"`{field.default.relative_to(ROOT)}`"
    if isinstance(field.default, dict) and field.default:
        return f"`{json.dumps(field.default)}`"
    return (
        f"`{field.default}`" if str(field.default or "0") and field.default not in (None, "", {}) else "none"
    )


def make_targets() -> str:
    """What `make` can do, by purpose."""
    rows, purpose = [], "Help"
    for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines():
        if line.startswith("##@ "):
            purpose = line.removeprefix("##@ ")
        elif target := re.match(r"([a-z-]+):.*## (.*)", line):
            rows.append((purpose, f"`make {target[1]}`", target[2]))
    return table("to|command|does", rows)


def _declared(name: str) -> list[dict[str, Any]]:
    text = (ROOT / "observability" / "schema" / f"{name}.yaml").read_text(encoding="utf-8")
    declared: list[dict[str, Any]] = yaml.safe_load(text)[name]
    return declared


def metrics() -> str:
    """Every metric that is declared."""
    return table(
        "metric|type|from|labels|what it counts",
        (
            (
                f"`{metric['name']}`",
                metric["type"],
                ", ".join(metric["emitted_by"]),
                ", ".join(metric.get("labels") or ()),
                metric["description"],
            )
            for metric in _declared("metrics")
        ),
    )


def spans() -> str:
    """Every span that is declared."""
    return table(
        "span|kind|from|what it covers",
        (
            (f"`{span['name']}`", span["kind"], ", ".join(span["emitted_by"]), span["description"])
            for span in _declared("spans")
        ),
    )


def alerts() -> str:
    """Every alert, with its runbook."""
    found = (
        rule
        for file in sorted((ROOT / "observability" / "alerts").glob("*.yaml"))
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    )
    return table(
        "alert|severity|runbook",
        (
            (f"`{rule['alert']}`", rule["labels"]["severity"], _runbook(rule["annotations"]["runbook"]))
            for rule in found
        ),
    )


def _runbook(path: str) -> str:
    name = Path(path).stem
    return f"[{name}](../runbooks/{name}.md)"


TABLES: Mapping[str, Callable[[], str]] = {
    "alerts": alerts,
    "databases": databases,
    "decisions": records.index,
    "flows": flows,
    "limits": limits,
    "logins": logins,
    "make-targets": make_targets,
    "metrics": metrics,
    "ownership": ownership,
    "ports": ports,
    "processes": processes,
    "scopes": scopes,
    "settings": settings,
    "spans": spans,
    "tables": tables,
    "topics": topics,
}
"""By the name that a guide's mark gives."""
