"""How Airflow reads flow files: each fault names the file, the field and what is expected."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.loader.errors import InvalidFlow
from services.loader.flows.files import read_flow
from services.platform.settings import ROOT
from tests.scripts import load_script

FLOWS = ROOT / "airflow" / "flows"
FIELDS = (
    *("name", "layer", "description", "connector", "freshness_minutes", "retries", "timeout_minutes", "pool"),
    *("cron", "after", "select", "source", "targets", "unknown"),
)
REMOVED = "\0"
VALUES = (
    *(REMOVED, "", "lake", "dl", "dbt", "0 6 * * *", "every day", 0, 1, -1, 101, True, 1.0, 1.5, "3", None),
    *([], ["lake"], ["lake", "ods"], [1], {}, {"database": "lake"}, {"database": "sea"}),
)


@pytest.fixture(scope="module")
def flow_files() -> ModuleType:
    """The module; it needs nothing of Airflow, but lies in a folder that is no package."""
    return load_script(ROOT / "airflow" / "plugins" / "flow_files.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the repository's flow files."""
    return shutil.copytree(FLOWS, tmp_path / "flows")


def test_every_flow_waits_for_an_earlier_layer(flow_files: ModuleType) -> None:
    flows = flow_files.flows(FLOWS)
    order = [flow_files.LAYERS.index(flow.layer) for flow in flows.values()]
    assert sorted(order) == list(range(len(flow_files.LAYERS)))
    assert [flow.name for flow in flows.values() if not flow.after] == ["lake"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("layer: ods", "layer: gold"), "layer: 'gold' is not one of"),
        (("timeout_minutes: ", "timeout_minutes: x"), "timeout_minutes: 'x"),
        (("retries: ", "retries: x"), "retries: 'x"),
        (("retries: ", "attempts: "), "'retries' is a required property"),
        (("retries: ", "retries: 1\nretries: "), "a field is given twice"),
        (("after: [lake]", "after: [sea]"), "names 'sea'"),
        (("after: [lake]", "after: [ap]"), "later layer ap"),
        (("after: [lake]", "after: []"), "schedule.after: []"),
        (("after: [lake]", "cron: null"), "schedule: "),
        (("name: ods", "name: other"), "a flow is named as its file"),
        (("connector: dbt", "connector: journal"), "'select' was unexpected"),
        (("connector: dbt", "connector: fax"), "connector: is 'fax', but must be one of dbt,"),
        (("schedule:", "schedule: ["), "not YAML"),
        (("description: ", "descriptive: "), "'description' is a required property"),
    ],
    ids=str,
)
def test_a_file_that_is_no_flow_is_named_with_its_field(
    flow_files: ModuleType, folder: Path, change: tuple[str, str], named: str
) -> None:
    file = folder / "ods.yaml"
    text = file.read_text()
    assert change[0] in text
    file.write_text(text.replace(*change))
    with pytest.raises(flow_files.InvalidFlow, match=r"ods\.yaml") as raised:
        flow_files.flows(folder)
    assert named in str(raised.value)


@given(edit=st.tuples(st.sampled_from(FIELDS), st.sampled_from(VALUES)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_airflow_and_the_loader_accept_the_same_files(
    flow_files: ModuleType, folder: Path, edit: tuple[str, object]
) -> None:
    field, value = edit
    file = folder / "lake.yaml"
    document = yaml.safe_load((FLOWS / "lake.yaml").read_text())
    place = document["schedule"] if field in {"cron", "after"} else document
    place[field] = value
    if value is REMOVED:
        del place[field]
    file.write_text(yaml.safe_dump(document))
    outcomes = []
    for read, refusal in ((flow_files.read, flow_files.InvalidFlow), (read_flow, InvalidFlow)):
        try:
            read(file)
        except refusal:
            outcomes.append("refused")
        else:
            outcomes.append("accepted")
    assert outcomes[0] == outcomes[1]
