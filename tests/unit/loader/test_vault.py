"""The generated part of the dbt project: current, complete, and refused when mapping and tables do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from services.lake.tables import CAPTURED
from services.lake.types import long_text
from services.loader.errors import InvalidMapping
from services.loader.vault.main import MAPPING, generated, main, outdated
from services.loader.vault.mapping import VaultMapping, Warehouse, cast_type, join_tables, read_mapping
from services.loader.vault.models import statements
from services.loader.vault.properties import properties

LANDINGS = {table.fullname: table.fullname.replace(".", "_") for table in CAPTURED}


@pytest.fixture
def said() -> Any:
    """The mapping as YAML reads it, to be changed."""
    return yaml.safe_load(MAPPING.read_text(encoding="utf-8"))


def joined(said: Any, tables: tuple[sa.Table, ...] = CAPTURED) -> Warehouse:
    """Join a mapping with tables of the lake."""
    return join_tables(VaultMapping.model_validate(said), tables, LANDINGS)


def test_every_generated_file_is_current() -> None:
    assert main(["--check"]) == 0


def test_a_changed_and_an_unknown_file_are_outdated(tmp_path: Path) -> None:
    (tmp_path / "ods").mkdir()
    (tmp_path / "dw" / "raw_vault").mkdir(parents=True)
    files = {tmp_path / "ods" / "a.sql": "select 1\n", tmp_path / "ods" / "b.sql": "select 2\n"}
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    assert outdated(files, tmp_path) == []

    (tmp_path / "ods" / "b.sql").write_text("select 3\n", encoding="utf-8")
    (tmp_path / "dw" / "raw_vault" / "left_behind.sql").write_text("select 4\n", encoding="utf-8")
    assert [path.name for path in outdated(files, tmp_path)] == ["left_behind.sql", "b.sql"]


def test_each_captured_table_has_a_typed_copy_and_each_model_its_properties() -> None:
    models = {path for path in generated() if path.suffix == ".sql" and "models" in path.parts}
    described = {path for path in generated() if path.suffix == ".yml" and path.stem != "sources"}
    assert {path.with_suffix(".yml") for path in models} == described
    assert {path.stem for path in models if path.parent.name == "ods"} == set(LANDINGS.values())


def test_a_new_column_goes_into_the_satellite_and_its_history(said: Any) -> None:
    said["tables"]["credit.party"]["columns"]["nick_name"] = "What friends say."
    metadata = sa.MetaData()
    tables = tuple(table.to_metadata(metadata) for table in CAPTURED)
    next(table for table in tables if table.name == "party").append_column(
        sa.Column("nick_name", sa.Unicode(20))
    )

    warehouse = joined(said, tables)

    models = dict(statements(warehouse))
    assert "    'nick_name': 'text(20)',\n" in models["ods/credit_party"]
    assert "    'nick_name',\n" in models["dw/raw_vault/sat_party"]
    described = dict(properties(warehouse))
    for path in ("ods/credit_party", "dw/raw_vault/sat_party", "dw/raw_vault/party_history"):
        assert '      - name: nick_name\n        description: "What friends say."\n' in described[path]


def change(said: Any, table: str, **values: Any) -> None:
    """Change what the mapping says of a table's way into the vault."""
    said["tables"][table]["vault"].update(values)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda said: said["tables"].pop("credit.loan"), "tables.credit.loan: is missing"),
        (
            lambda said: said["tables"]["credit.loan"]["columns"].pop("currency"),
            "tables.credit.loan.columns.currency: is missing",
        ),
        (
            lambda said: said["tables"]["credit.loan"]["columns"].update(colour="Green."),
            "tables.credit.loan: the lake's table has no column colour",
        ),
        (
            lambda said: said["tables"].update({"credit.gone": said["tables"]["credit.party"]}),
            "tables.credit.gone: the lake captures no such table",
        ),
        (lambda said: change(said, "credit.loan", kept=["colour"]), "has no column colour"),
        (lambda said: change(said, "credit.loan", left_out=["colour"]), "has no column colour"),
        (
            lambda said: change(said, "credit.loan", hubs={"bank": ["id"]}),
            "tables.credit.loan.vault.hubs.bank: there is no such hub",
        ),
        (
            lambda said: change(said, "credit.approval_band", hubs={"approval_band": ["band"]}),
            "tables.credit.approval_band.vault.hubs.approval_band: needs 2 columns, and has 1",
        ),
        (lambda said: change(said, "credit.loan", link=None), "tables.credit.loan.vault.link: is missing"),
        (lambda said: change(said, "credit.party", kept=["kind"]), "tables.credit.party.vault.kept:"),
        (
            lambda said: change(said, "credit.document", entity="decision"),
            "entity decision: is named by more",
        ),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(said: Any, broken: Any, message: str) -> None:
    broken(said)
    with pytest.raises(InvalidMapping, match=message.replace(".", r"\.")):
        joined(said)


def test_a_mapping_that_is_none_is_refused_with_its_field(tmp_path: Path) -> None:
    path = tmp_path / "vault.yml"
    path.write_text("hubs: {party: {description: Parties, keys: {}}}\ntables: {}\n", encoding="utf-8")
    with pytest.raises(InvalidMapping, match=r"vault\.yml: hubs\.party\.key: Field required"):
        read_mapping(path)
    path.write_text("hubs: [", encoding="utf-8")
    with pytest.raises(InvalidMapping, match="is not YAML"):
        read_mapping(path)


def test_a_type_that_ods_does_not_know_is_refused() -> None:
    assert cast_type(long_text()) == "text"
    with pytest.raises(InvalidMapping, match="Numeric"):
        cast_type(sa.Numeric(12, 2))
