"""The rules that a typed copy in `ods` sets rows aside by, for dbt: `dbt/macros/rules.sql` is generated here.

They come from two places: the lake's tables say which columns are required, the flow file says what values may be.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from services.lake.tables import CAPTURED
from services.loader.flows.files import ROOT
from services.loader.flows.model import Check, DbtFlow, LoadFlow, Target

FILE = ROOT / "dbt" / "macros" / "rules.sql"
_TYPES = {
    "text": "text",
    "integer": "bigint",
    "numeric": "number",
    "boolean": "flag",
    "date": "date",
    "timestamp": "timestamp",
    "uuid": "uuid",
}
"""What dbt calls the types of a flow file's checks."""
_HEAD = """{#
    Generated from the flow files and the lake's tables by services/loader/quality/rules.py; `make dbt-models`
    writes it again. Bounds are texts, and exact.
#}
{% macro rules() -%}
{{ return("""


def rules_of(target: Target) -> dict[str, Any]:
    """Give the rules of one landing table.

    Returns:
        `keys`, the columns of the key; `required`, others that must have a value; `checks`, each with its column,
        the kind (one_of, min, max, max_length, type), what is compared with, and the rule for people.
    """
    lake = {table.fullname: table for table in CAPTURED}.get(target.source)
    required = [] if lake is None else [column.name for column in lake.columns if not column.nullable]
    required += [check.column for check in target.checks if check.not_null and check.severity == "error"]
    return {
        "keys": list(target.keys),
        "required": [
            name for name in dict.fromkeys(required) if name not in target.keys and name in target.columns
        ],
        "checks": [rule for check in target.checks if check.severity == "error" for rule in _rules(check)],
    }


def _rules(check: Check) -> Iterator[dict[str, Any]]:
    column = check.column
    if check.type is not None and check.type != "text":
        yield {"column": column, "kind": "type", "type": _TYPES[check.type], "rule": f"type {check.type}"}
    if check.one_of is not None:
        listed = ", ".join(check.one_of)
        yield {"column": column, "kind": "one_of", "values": list(check.one_of), "rule": f"one of {listed}"}
    if check.min is not None:
        yield {"column": column, "kind": "min", "bound": f"{check.min:f}", "rule": f"at least {check.min:f}"}
    if check.max is not None:
        yield {"column": column, "kind": "max", "bound": f"{check.max:f}", "rule": f"at most {check.max:f}"}
    if check.max_length is not None:
        rule = f"at most {check.max_length} characters"
        yield {"column": column, "kind": "max_length", "bound": str(check.max_length), "rule": rule}


def macro(flows: Mapping[str, LoadFlow | DbtFlow]) -> str:
    """Give the text of `dbt/macros/rules.sql` for these flows."""
    found = {
        target.table: rules_of(target)
        for flow in flows.values()
        if not isinstance(flow, DbtFlow)
        for target in flow.targets
    }
    said = orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()
    return f"{_HEAD}{said}) }}}}\n{{%- endmacro %}}\n"
