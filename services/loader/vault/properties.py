"""Writes the properties of generated models: descriptions, tests of data, and `meta`, which the macros read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.loader.vault.mapping import Hub, Source, Vault, Warehouse
from services.loader.vault.models import NOTE

HEAD = f"# {NOTE}\n"
HASHED = "Hash key of what changed."
FOUND = "refers_in_new_rows"
JOURNAL = {
    "position_major": "First part of the position in the journal.",
    "position_minor": "Second part of the position in the journal.",
}
OPERATION = "c created, u updated, d deleted, r read again"
CAPTURED_AT = "When it was captured, UTC."
IMAGE_HASH = "Hash of the image of the row; two rows with the same image have the same."
ACTOR = "Who made the change: a user or a login."
TRACEPARENT = "Trace context of the change."
LANDED = {
    "batch_id": "Batch that the row came with.",
    **JOURNAL,
    "operation": f"{OPERATION}.",
    "row_key": "Key of the row, a JSON array of texts.",
    "image": "The whole row after the change, a JSON object; NULL for a delete.",
    "fingerprint": "Definition of the table that the image was written by.",
    "actor": ACTOR,
    "traceparent": TRACEPARENT,
    "captured_at": CAPTURED_AT,
}
TYPED = {
    "batch_id": "Batch that brought the row.",
    **JOURNAL,
    "operation": f"{OPERATION}.",
    "captured_by": ACTOR,
    "traceparent": TRACEPARENT,
    "captured_at": CAPTURED_AT,
    "image_hash": IMAGE_HASH,
    "fault_column": "Column by which the change is set aside; NULL when it is taken.",
    "fault_rule": "Rule that the column breaks; NULL when the change is taken.",
    "fault_value": "The value, masked: the form of a number or time, the length of anything else.",
}
CHANGED = {
    **JOURNAL,
    "batch_id": "Batch that brought the row.",
    "operation": f"{OPERATION}, g the ghost record.",
    "captured_at": CAPTURED_AT,
    "image_hash": IMAGE_HASH,
}
VALIDITY = {
    "version_number": "1 for the first change known of the thing.",
    "versions_after": "1 for the last change known of the thing.",
    "next_captured_at": "When the next change was captured; NULL for the last.",
    "known_at": "The latest instant that this change or one before it was captured at.",
    "valid_from": "From when the row holds: known_at, or 1900-01-01 for the first.",
    "valid_to": "Until when, exclusive; 9999-12-31 for the last.",
    "is_current": "1 for the last row.",
    "is_deleted": "1 when the thing was deleted by this change.",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a model: name, meaning, and its tests of data as YAML."""

    name: str
    description: str
    tests: str = ""


def properties(warehouse: Warehouse) -> Iterator[tuple[str, str]]:
    """Give each generated file of properties: its path under dbt/models without a suffix, and its text."""
    yield "ods/sources", HEAD + landed(warehouse)
    for source in warehouse.sources:
        yield f"ods/{source.landing}", HEAD + typed_changes(source)
    for name, hub in warehouse.hubs.items():
        yield f"dw/raw_vault/hub_{name}", HEAD + hub_of(name, hub)
    for source in warehouse.sources:
        vault = source.described.vault
        if vault is None:
            continue
        if vault.link is not None:
            yield f"dw/raw_vault/link_{vault.entity}", HEAD + link_of(source, vault, vault.link)
        yield f"dw/raw_vault/sat_{vault.entity}", HEAD + satellite_of(source, vault)
        yield f"dw/raw_vault/{vault.entity}_history", HEAD + history_of(source, vault)


def landed(warehouse: Warehouse) -> str:
    """Give the landing tables as dbt's sources."""
    lines = [
        "sources:\n  - name: dl\n"
        "    description: What the loader landed; every change of the lake, as the journal has it.\n"
        "    schema: dl\n    tables:\n"
    ]
    for source in warehouse.sources:
        description = f"Changes of {source.table}: {_lowered(source.described.description)}."
        lines.append(f"      - name: {source.landing}\n        description: {_quoted(description)}\n")
        lines.append("        columns:\n")
        for name, meaning in LANDED.items():
            lines.append(f"          - name: {name}\n            description: {_quoted(meaning)}\n")
    return "".join(lines)


def typed_changes(source: Source) -> str:
    """Give the properties of a table's typed changes."""
    filled = "{filled_in_new_rows: {arguments: {only: n.fault_rule is null}}}"
    columns = [
        *_plain(TYPED),
        *(
            Column(name, meaning, filled if name in source.keys else "")
            for name, meaning in _in_order(source).items()
        ),
    ]
    return _model(
        source.landing,
        f"{source.described.description}: every change, typed.",
        {"kind": "typed_changes", "table": source.table},
        columns,
        unique=list(JOURNAL),
    )


def hub_of(name: str, hub: Hub) -> str:
    """Give the properties of a hub."""
    columns = [
        Column(f"{name}_hk", "Hash key.", "unique, not_null"),
        Column("batch_id", "Batch that first mentioned the key, of those read so far."),
        *_plain(hub.key),
    ]
    return _model(f"hub_{name}", hub.description, {"kind": "hub"}, columns)


def link_of(source: Source, vault: Vault, description: str) -> str:
    """Give the properties of a link."""
    columns = [Column("link_hk", "Hash key of the combination.", "unique, not_null")]
    if vault.entity not in vault.hubs:
        joins = f"Hash key of what joins the keys: {_lowered(description)}"
        columns.append(Column(f"{vault.entity}_hk", joins, "not_null"))
    columns += [
        Column(f"{hub}_hk", f"Refers to hub_{hub}.", f"not_null, {_refers(f'hub_{hub}', f'{hub}_hk')}")
        for hub in vault.hubs
    ]
    columns += [Column(name, source.described.columns[name]) for name in vault.kept]
    columns.append(Column("batch_id", "Batch that first stated it, of those read so far."))
    return _model(f"link_{vault.entity}", description, {"kind": "link"}, columns)


def satellite_of(source: Source, vault: Vault) -> str:
    """Give the properties of a satellite."""
    return _model(
        f"sat_{vault.entity}",
        f"{source.described.description}: every change, insert-only.",
        {"kind": "satellite"},
        _changes(source, vault, tested=True),
        unique=[f"{vault.entity}_hk", *JOURNAL],
    )


def history_of(source: Source, vault: Vault) -> str:
    """Give the properties of a history."""
    return _model(
        f"{vault.entity}_history",
        f"{source.described.description}: what was so from when to when; validity by LEAD over positions.",
        {"kind": "history"},
        [*_changes(source, vault, tested=False), *_plain(VALIDITY)],
    )


def _changes(source: Source, vault: Vault, *, tested: bool) -> Iterator[Column]:
    key = f"{vault.entity}_hk"
    of_hub = f", {_refers(f'hub_{vault.entity}', key)}" if vault.entity in vault.hubs else ""
    yield Column(key, HASHED, f"not_null{of_hub}" if tested else "")
    yield from _plain(CHANGED)
    if vault.link is not None:
        link = f"link_{vault.entity}"
        meaning = f"Refers to {link}; the ghost when the change is a delete."
        yield Column("link_hk", meaning, f"not_null, {_refers(link, 'link_hk')}" if tested else "")
    for name in source.payload(vault):
        yield Column(name, source.described.columns[name])


def _model(
    name: str,
    description: str,
    meta: Mapping[str, str],
    columns: Iterator[Column] | list[Column],
    unique: list[str] | None = None,
) -> str:
    said = ", ".join(f"{key}: {value}" for key, value in meta.items())
    lines = [
        f"models:\n  - name: {name}\n    description: {_quoted(description)}\n",
        f"    config:\n      meta: {{{said}}}\n",
    ]
    if unique:
        lines.append(
            "    data_tests:\n"
            f"      - unique_in_new_rows: {{arguments: {{columns: [{', '.join(unique)}]}}}}\n"
        )
    lines.append("    columns:\n")
    for column in columns:
        lines.append(f"      - name: {column.name}\n        description: {_quoted(column.description)}\n")
        if column.tests:
            lines.append(f"        data_tests: [{column.tests}]\n")
    return "".join(lines)


def _plain(columns: Mapping[str, str]) -> Iterator[Column]:
    return (Column(name, meaning) for name, meaning in columns.items())


def _in_order(source: Source) -> dict[str, str]:
    """The meanings of a table's columns in the lake's order."""
    return {name: source.described.columns[name] for name in source.types}


def _refers(model: str, column: str) -> str:
    return f"{{{FOUND}: {{arguments: {{to: ref('{model}'), field: {column}}}}}}}"


def _lowered(text: str) -> str:
    return text[0].lower() + text[1:]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
