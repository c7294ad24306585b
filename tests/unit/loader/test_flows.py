"""Flow files: what is valid, and what is said of what is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from services.lake.journal.capture import captured_table
from services.lake.tables import CAPTURED
from services.loader.errors import InvalidFlow, UnknownFlow
from services.loader.flows.files import FLOWS, find_load, read_flow, read_flows
from services.loader.flows.model import JournalFlow, json_schema

SCHEMA = FLOWS / "flow.schema.json"

RATES = """\
name: rates
layer: dl
description: Rates of partners.
connector: files
schedule: {cron: "0 6 * * *"}
freshness_minutes: 1500
retries: 2
timeout_minutes: 5
source: {format: csv}
targets:
  - source: /data/rates-*.csv
    table: partner_rate
    keys: [code]
    columns: [code, rate]
    checks:
      - {column: rate, type: numeric, not_null: true}
"""


def test_the_lake_flow_has_every_captured_table_with_its_key_and_columns() -> None:
    flow = read_flow(FLOWS / "lake.yaml")
    assert isinstance(flow, JournalFlow)
    assert {target.source: (target.table, target.keys, target.columns) for target in flow.targets} == {
        table.full_name: (
            f"{table.schema}_{table.name}",
            table.key,
            tuple(column.name for column in table.columns),
        )
        for table in map(captured_table, CAPTURED)
    }


def test_the_published_schema_is_that_of_the_models() -> None:
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("GOLDEN_WRITE"):
        SCHEMA.write_text(text, encoding="utf-8")
    assert SCHEMA.read_text(encoding="utf-8") == text


def test_every_flow_file_of_the_project_is_valid() -> None:
    assert "lake" in read_flows(FLOWS)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("retries: 2", "retries: two", ":7: retries: input should be a valid integer"),
        ("retries: 2\n", "", ":1: retries: field required"),
        ("pool", "", None),
        ("    keys: [code]\n", "", ":11: targets[0].keys: field required"),
        ("keys: [code]", "keys: [id]", ":11: targets[0]: keys: id is not among the columns"),
        ("[code, rate]", "[code, Rate]", ":14: targets[0].columns[1]: string should match pattern"),
        ("type: numeric", "type: money", ":16: targets[0].checks[0].type: input should be 'text'"),
        ("type: numeric, not_null: true", "when: load", ":16: targets[0].checks[0]: it checks nothing"),
        ("connector: files", "connector: ftp", ":4: connector: input tag 'ftp'"),
        ("source: {format: csv}", "source: {format: csv, quote: x}", ":9: source.quote: extra inputs"),
        ("retries: 2", "retries: 2\nretries: 3", ":8: retries: is given twice"),
        ("layer: dl", "layer: ods", ":2: layer: input should be 'dl'"),
        ("name: rates", "name: raten", ":1: name: 'raten' must be the file's name, 'rates'"),
        ("retries: 2", "retries: [2", "it is not YAML"),
        ('schedule: {cron: "0 6 * * *"}', "schedule: {}", ":5: schedule: give cron, after, or both"),
    ],
)
def test_a_fault_is_told_with_file_line_and_field(
    tmp_path: Path, good: str, bad: str, said: str | None
) -> None:
    path = tmp_path / "rates.yaml"
    path.write_text(RATES.replace(good, bad, 1), encoding="utf-8")
    if said is None:
        assert read_flow(path).name == "rates"
        return
    with pytest.raises(InvalidFlow) as caught:
        read_flow(path)
    assert str(caught.value).startswith(f"{path}:")
    assert said in str(caught.value)


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rates.yaml"
    path.write_text(RATES.replace("retries: 2", "retries: -1").replace("minutes: 5", "minutes: 0"))
    with pytest.raises(InvalidFlow) as caught:
        read_flow(path)
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["7", "8"]


def test_two_flows_cannot_write_one_landing_table_nor_follow_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "rates.yaml").write_text(RATES)
    (tmp_path / "others.yaml").write_text(
        RATES.replace("name: rates", "name: others").replace('{cron: "0 6 * * *"}', "{after: [nothing]}")
    )
    with pytest.raises(InvalidFlow) as caught:
        read_flows(tmp_path)
    assert "there is no flow 'nothing'" in str(caught.value)
    assert "dl.partner_rate is written by flow 'others' already" in str(caught.value)


def test_a_flow_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "rates.yaml").write_text(RATES)
    with pytest.raises(UnknownFlow, match=r"no flow 'rate' in .*there are: rates"):
        find_load(tmp_path, "rate")
