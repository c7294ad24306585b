"""How Airflow reads flow files: each fault names the file, the field and what is expected."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from services.platform.settings import ROOT

FLOWS = ROOT / "airflow" / "flows"


@pytest.fixture(scope="module")
def flow_files() -> ModuleType:
    """The module; it needs nothing of Airflow, but lies in a folder that is no package."""
    specification = importlib.util.spec_from_file_location(
        "flow_files", ROOT / "airflow" / "plugins" / "flow_files.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["flow_files"] = module
    specification.loader.exec_module(module)
    return module


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
        (("layer: ods", "layer: gold"), "layer is 'gold'"),
        (("timeout_minutes: ", "timeout_minutes: x"), "timeout_minutes is 'x"),
        (("retries: ", "retries: x"), "retries is 'x"),
        (("after: [lake]", "after: [sea]"), "names 'sea'"),
        (("after: [lake]", "after: [ap]"), "later layer ap"),
        (("after: [lake]", "after: []"), "would never run"),
        (("name: ods", "name: other"), "a flow is named as its file"),
        (("connector: dbt", "connector: journal"), "has select"),
        (("schedule:", "schedule: ["), "not YAML"),
        (("description: ", "descriptive: "), "description is None"),
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
