"""Reads dbt/vault.yml, which says how the lake's tables go into the raw vault, and compares it with these tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from sqlalchemy.types import TypeEngine

from services.lake.types import UtcDateTime
from services.loader.errors import InvalidMapping

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Meaning = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Hub(_Part):
    """A business key: what it names, and its columns in the hub with their meanings."""

    description: Meaning
    key: dict[Name, Meaning]


class Vault(_Part):
    """How a table goes into the raw vault; the head of dbt/vault.yml says what each field means."""

    entity: Name
    hubs: dict[Name, tuple[Name, ...]]
    link: Meaning | None = None
    kept: tuple[Name, ...] = ()
    left_out: tuple[Name, ...] = ()


class Described(_Part):
    """What the mapping says of one table."""

    description: Meaning
    json_columns: tuple[Name, ...] = ()
    vault: Vault | None = None
    columns: dict[Name, Meaning]


class VaultMapping(_Part):
    """All of dbt/vault.yml."""

    hubs: dict[Name, Hub]
    tables: dict[str, Described]


@dataclass(frozen=True, slots=True)
class Source:
    """A table of the lake with what the mapping says of it.

    Args:
        table: full name in the lake, such as credit.loan.
        landing: name of its landing table and of its typed copy.
        types: the type by which ods casts each column (dbt/macros/typed.sql), in the lake's order.
        keys: columns of the primary key.
        described: what the mapping says.
    """

    table: str
    landing: str
    types: Mapping[str, str]
    keys: tuple[str, ...]
    described: Described

    def link_parts(self, vault: Vault) -> list[str]:
        """Give the columns that the link's hash key is made of: the key, then what else the hubs need."""
        return list(dict.fromkeys([*self.keys, *(name for key in vault.hubs.values() for name in key)]))

    def payload(self, vault: Vault) -> list[str]:
        """Give the columns that only the satellite has."""
        elsewhere = {*self.link_parts(vault), *vault.kept, *vault.left_out}
        return [name for name in self.types if name not in elsewhere]


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Everything that models are generated from: hubs by name, and tables, parents before children."""

    hubs: Mapping[str, Hub]
    sources: Sequence[Source]


def read_mapping(path: Path) -> VaultMapping:
    """Read the mapping.

    Raises:
        InvalidMapping: it is not YAML, or says what a mapping may not; one line for each fault.
    """
    try:
        return VaultMapping.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise InvalidMapping(f"{path.name}: it is not YAML: {error}") from None
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        lines = (f"{path.name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
        raise InvalidMapping("\n".join(lines)) from None


def join_tables(mapping: VaultMapping, tables: Sequence[sa.Table], landings: Mapping[str, str]) -> Warehouse:
    """Join the mapping with the lake's tables.

    Args:
        mapping: what dbt/vault.yml says.
        tables: captured tables of the lake, parents before children.
        landings: landing table of each of them, by its full name in the lake.

    Raises:
        InvalidMapping: mapping and tables do not fit each other; one line for each fault.
    """
    if faults := list(_faults(mapping, tables)):
        raise InvalidMapping("\n".join(f"vault.yml: {fault}" for fault in faults))
    sources = []
    for table in tables:
        described = mapping.tables[table.fullname]
        types = {
            column.name: "json" if column.name in described.json_columns else cast_type(column.type)
            for column in table.columns
        }
        keys = tuple(column.name for column in table.primary_key.columns)
        sources.append(Source(table.fullname, landings[table.fullname], types, keys, described))
    return Warehouse(mapping.hubs, sources)


def _faults(mapping: VaultMapping, tables: Sequence[sa.Table]) -> Iterator[str]:
    captured = {table.fullname: table for table in tables}
    for name in mapping.tables.keys() - captured.keys():
        yield f"tables.{name}: the lake captures no such table"
    for name, table in captured.items():
        described = mapping.tables.get(name)
        if described is None:
            yield f"tables.{name}: is missing; describe the table and its columns"
            continue
        columns = {column.name for column in table.columns}
        for column in sorted(columns - described.columns.keys()):
            yield f"tables.{name}.columns.{column}: is missing; say what the column means"
        vault = described.vault
        used = {*described.columns, *described.json_columns}
        if vault is not None:
            used |= {*vault.kept, *vault.left_out, *(column for key in vault.hubs.values() for column in key)}
            yield from (f"tables.{name}.vault.{fault}" for fault in _vault_faults(mapping, vault))
        for column in sorted(used - columns):
            yield f"tables.{name}: the lake's table has no column {column}"
    entities = [
        described.vault.entity for described in mapping.tables.values() if described.vault is not None
    ]
    for entity in sorted({entity for entity in entities if entities.count(entity) > 1}):
        yield f"entity {entity}: is named by more than one table"


def _vault_faults(mapping: VaultMapping, vault: Vault) -> Iterator[str]:
    for hub, key in vault.hubs.items():
        if hub not in mapping.hubs:
            yield f"hubs.{hub}: there is no such hub"
        elif len(key) != len(mapping.hubs[hub].key):
            yield f"hubs.{hub}: needs {len(mapping.hubs[hub].key)} columns, and has {len(key)}"
    if vault.link is None and list(vault.hubs) != [vault.entity]:
        yield f"link: is missing; only what refers to the hub {vault.entity} alone needs none"
    if vault.link is None and vault.kept:
        yield "kept: columns go into a link, and there is none"


_CASTS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (sa.Uuid, "uuid"),
    (sa.Boolean, "flag"),
    (sa.BigInteger, "bigint"),
    (sa.Integer, "integer"),
    (sa.Date, "date"),
    (UtcDateTime, "timestamp"),
    (sa.UnicodeText, "text"),
    (sa.Unicode, "text({length})"),
    (sa.String, "code({length})"),
    (sa.LargeBinary, "hex({digits})"),
)
"""What ods calls the lake's types. The first that fits holds, so a type stands before those that it is a kind of."""
_DECIMALS = {(19, 4): "money", (9, 6): "rate"}
"""What ods calls a decimal of a precision and scale."""


def cast_type(column_type: TypeEngine[Any]) -> str:
    """Give the type by which ods casts a column of the lake.

    Raises:
        InvalidMapping: ods has no type for it.
    """
    if isinstance(column_type, sa.Numeric):
        found = _DECIMALS.get((column_type.precision or 0, column_type.scale or 0))
    else:
        found = next((name for kind, name in _CASTS if isinstance(column_type, kind)), None)
    if found is None:
        raise InvalidMapping(f"ods has no type for {column_type!r}; add it to dbt/macros/typed.sql and here")
    length = getattr(column_type, "length", None) or 0
    return found.format(length=length, digits=2 * length)
