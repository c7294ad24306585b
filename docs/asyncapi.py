# ruff: noqa: INP001 - a script, not a package
"""Write the AsyncAPI documents of the topics to docs/api, or with --check say whether one is out of date.

Consumers of `lake.credit.*` read one: what the key, the headers and the image of each table's records are. Senders of
applications and payments read the other. They are generated from the captured tables and from the models of records,
so that they change with them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "api"
sys.path.insert(0, str(FOLDER.parents[1]))

from services.intake.imports.domain import ImportKind  # noqa: E402
from services.intake.imports.formats import LARGEST_ROW_BYTES  # noqa: E402
from services.intake.imports.rows import MODELS  # noqa: E402
from services.intake.messages.consumer import MESSAGE_ID  # noqa: E402
from services.intake.messages.domain import NUMBER, TOPIC_PREFIX  # noqa: E402
from services.lake.journal.capture import captured_table  # noqa: E402
from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType  # noqa: E402
from services.lake.tables import CAPTURED  # noqa: E402
from services.replicator.records import CHANGE, HEARTBEAT, IMAGED, TRACEPARENT  # noqa: E402
from services.replicator.settings import ReplicatorSettings  # noqa: E402
from services.replicator.topics import LARGEST_RECORD_BYTES, topic_of  # noqa: E402

FILE = "lake.asyncapi.json"
SENDERS_FILE = "intake.asyncapi.json"
PREFIX = str(ReplicatorSettings.model_fields["topic_prefix"].default)
PARTITIONS = int(ReplicatorSettings.model_fields["topic_partitions"].default)

LICENSE = {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}
_NUMBER = r"^(-?[0-9]+(\.[0-9]+)?|NaN|-?Infinity)$"
_FLOAT = r"^(-?[0-9.]+(e[+-]?[0-9]+)?|NaN|-?Infinity)$"
_TYPES: dict[ColumnType, dict[str, Any]] = {
    ColumnType.TEXT: {"type": "string"},
    ColumnType.CHAR: {"type": "string"},
    ColumnType.XML: {"type": "string", "contentMediaType": "application/xml"},
    ColumnType.UUID: {"type": "string", "format": "uuid"},
    ColumnType.BOOLEAN: {"type": "boolean"},
    ColumnType.SMALLINT: {"type": "integer", "minimum": -(2**15), "maximum": 2**15 - 1},
    ColumnType.OFFSET: {
        "type": "integer",
        "minimum": -840,
        "maximum": 840,
        "description": "Minutes ahead of UTC.",
    },
    ColumnType.INTEGER: {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    ColumnType.BIGINT: {
        "type": "string",
        "pattern": "^-?[0-9]+$",
        "description": "As text: JSON readers round it.",
    },
    ColumnType.NUMERIC: {
        "type": "string",
        "pattern": _NUMBER,
        "description": "As text: JSON readers round it.",
    },
    ColumnType.REAL: {
        "type": "string",
        "pattern": _FLOAT,
        "description": "Digits that restore the same bits.",
    },
    ColumnType.DOUBLE: {
        "type": "string",
        "pattern": _FLOAT,
        "description": "Digits that restore the same bits.",
    },
    ColumnType.DATE: {"type": "string", "description": "ISO 8601, or infinity."},
    ColumnType.TIME: {"type": "string", "pattern": r"^[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$"},
    ColumnType.TIMESTAMP: {"type": "string", "description": "ISO 8601 without a zone, in UTC, or infinity."},
    ColumnType.TIMESTAMPTZ: {"type": "string", "description": "ISO 8601 with its zone, or infinity."},
    ColumnType.BINARY: {"type": "string", "pattern": "^([0-9a-f]{2})*$", "description": "Hexadecimal."},
}


def column_schema(column: CapturedColumn) -> dict[str, Any]:
    """The JSON schema of a column's value in an image."""
    schema = dict(_TYPES[column.type])
    if column.type in {ColumnType.TEXT, ColumnType.CHAR} and column.length is not None:
        schema["maxLength"] = column.length
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    return schema


def image_schema(table: CapturedTable) -> dict[str, Any]:
    """The JSON schema of an image of a table: the whole row."""
    return {
        "type": "object",
        "properties": {column.name: column_schema(column) for column in table.columns},
        "required": [column.name for column in table.columns],
        "additionalProperties": False,
    }


def _headers() -> dict[str, Any]:
    operations = "".join(sorted(IMAGED | {"d", HEARTBEAT}))
    return {
        "type": "object",
        "properties": {
            CHANGE: {
                "type": "string",
                "description": "Operation (c insert, u update, d delete, r the row again, h heartbeat), position, "
                "position of the record before in this partition, epoch of the relay, journal, fingerprint of the "
                "table's definition.",
                "pattern": rf"^[{operations}] [0-9]+\.[0-9]+ [0-9]+\.[0-9]+ [0-9]+ [0-9a-f]{{32}} (-|[0-9a-f]{{16}})$",
                "examples": ["u 4711.0 4702.0 3 0197a2a0000070008000000000000001 0123456789abcdef"],
            },
            TRACEPARENT: {"type": "string", "description": "W3C Trace Context of the transaction."},
        },
        "required": [CHANGE],
    }


def _message(table: CapturedTable) -> dict[str, Any]:
    return {
        "name": table.full_name,
        "title": f"A change of a row of {table.full_name}",
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": {"$ref": f"#/components/schemas/{table.full_name}"},
        "bindings": {
            "kafka": {
                "key": {
                    "type": "array",
                    "description": f"The key as canonical texts: {', '.join(table.key)}.",
                    "items": {"type": "string"},
                    "minItems": len(table.key),
                    "maxItems": len(table.key),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def document() -> dict[str, Any]:
    """The AsyncAPI document."""
    tables = [captured_table(table) for table in CAPTURED]
    channels, operations = {}, {}
    for table in tables:
        name = table.full_name
        channels[name] = {
            "address": topic_of(PREFIX, name),
            "description": f"Every change of {name}, in the order of its commits for each key. A delete and a "
            "heartbeat have no payload; a heartbeat has no key either.",
            "messages": {"change": {"$ref": f"#/components/messages/{name}"}},
            "bindings": {
                "kafka": {
                    "partitions": PARTITIONS,
                    "topicConfiguration": {"max.message.bytes": LARGEST_RECORD_BYTES},
                    "bindingVersion": "0.5.0",
                }
            },
        }
        operations[f"send.{name}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": f"The relay sends the changes of {name}.",
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Changes of the lake",
            "version": "1.0.0",
            "description": "Every committed change of every table of schema credit. Read committed; at least once: a "
            "record at or below the position of its key's last one is a repetition.",
            "license": LICENSE,
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {table.full_name: _message(table) for table in tables},
            "schemas": {"headers": _headers(), **{table.full_name: image_schema(table) for table in tables}},
        },
    }


def senders_document() -> dict[str, Any]:
    """The AsyncAPI document of what senders send."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {"headers": _sender_headers()}
    for kind, model in MODELS.items():
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**schema.pop("$defs", {}), model.__name__: schema}
        what = (
            "An application and its borrower" if kind is ImportKind.APPLICATIONS else "A payment under a loan"
        )
        messages[kind] = {
            "name": str(kind),
            "title": what,
            "summary": f"At most {LARGEST_ROW_BYTES // 1024} KiB of JSON.",
            "contentType": "application/json",
            "headers": {"$ref": "#/components/schemas/headers"},
            "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
            "bindings": {
                "kafka": {
                    "key": {
                        "type": "string",
                        "description": "Records of one key stay in order. It is the number of a record that has no "
                        f"{MESSAGE_ID} and no external_ref.",
                    },
                    "bindingVersion": "0.5.0",
                }
            },
        }
        channels[kind] = {
            "address": f"{TOPIC_PREFIX}{kind}.{{sender}}",
            "description": f"{what} in each record. Only its sender may write to the topic.",
            "parameters": {"sender": {"description": "The sender's client id."}},
            "messages": {"record": {"$ref": f"#/components/messages/{kind}"}},
        }
        operations[f"receive.{kind}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{kind}"},
            "summary": f"Intake writes each record of {kind} once, or keeps it as rejected.",
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Applications and payments of senders",
            "version": "1.0.0",
            "description": "A record is made once, by its number. What is wrong with a record is read by auditors with "
            "GET /rejected-records of intake.",
            "license": LICENSE,
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _sender_headers() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            MESSAGE_ID: {
                "type": "string",
                "description": "The number by which the record is known; without it external_ref is.",
                "pattern": f"^{NUMBER.pattern}$",
            },
            TRACEPARENT: {
                "type": "string",
                "description": "W3C Trace Context in which the record is handled.",
            },
        },
    }


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write or check (`--check`) the documents in `folder`.

    Returns:
        The exit status: 0 when they are up to date, 1 when one is not.
    """
    status = 0
    for name, found in ((FILE, document()), (SENDERS_FILE, senders_document())):
        path = folder / name
        wanted = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == wanted:
            continue
        if "--check" in arguments:
            print(f"out of date: docs/api/{name}; run `make docs-tables`", file=sys.stderr)
            status = 1
            continue
        folder.mkdir(exist_ok=True)
        path.write_text(wanted, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
