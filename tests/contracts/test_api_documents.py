"""The committed API documents are those of the services and topics, and a change of an API is seen."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from services.lake.tables import CAPTURED, application
from tests.scripts import load_script

ROOT = Path(__file__).parents[2]
SERVICES = ("analytics", "approval", "auth", "intake", "lineage", "search")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return load_script(ROOT / "docs/openapi.py")


def test_a_document_that_differs_is_named_and_written_again(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generator.main([], tmp_path) == 0
    assert generator.main(["--check"], tmp_path) == 0
    changed = tmp_path / "search.openapi.json"
    whole = changed.read_text()
    document = json.loads(whole)
    del document["components"]["schemas"]["FoundApplication"]["properties"]["amount"]
    changed.write_text(json.dumps(document, indent=2))
    assert generator.main(["--check"], tmp_path) == 1
    assert "docs/api/search.openapi.json" in capsys.readouterr().err
    assert generator.main([], tmp_path) == 0
    assert changed.read_text() == whole
    assert {path.name: path.read_text() for path in (ROOT / "docs/api").glob("*.openapi.json")} == {
        path.name: path.read_text() for path in tmp_path.iterdir()
    }


def test_the_document_of_the_change_topics_is_that_of_the_captured_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = load_script(ROOT / "docs/asyncapi.py")
    assert generator.main(["--check"]) == 0
    assert generator.main(["--check"], tmp_path) == 1
    assert "docs/api/lake.asyncapi.json" in capsys.readouterr().err
    assert generator.main([], tmp_path) == 0
    document = json.loads((tmp_path / generator.FILE).read_text())
    assert document["asyncapi"] == "3.0.0"
    assert {channel["address"] for channel in document["channels"].values()} == {
        f"lake.{table.fullname}" for table in CAPTURED
    }
    # Of a member that consumers need, the type is said.
    image = document["components"]["schemas"]["credit.application"]
    assert image["properties"]["id"] == {"type": "string", "format": "uuid"}
    assert image["required"] == [column.name for column in application.columns]


def test_the_document_of_the_senders_topics_has_what_a_record_may_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = load_script(ROOT / "docs/asyncapi.py")
    assert generator.main(["--check"], tmp_path) == 1
    assert "docs/api/intake.asyncapi.json" in capsys.readouterr().err
    assert generator.main([], tmp_path) == 0
    document = json.loads((tmp_path / generator.SENDERS_FILE).read_text())
    assert {channel["address"] for channel in document["channels"].values()} == {
        "intake.applications.{sender}",
        "intake.payments.{sender}",
    }
    row = document["components"]["schemas"]["ApplicationRow"]
    assert row["additionalProperties"] is False
    assert set(row["required"]) == {"party", "application"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_reference_leads_somewhere_and_every_answer_is_described(service: str) -> None:
    document = json.loads((ROOT / f"docs/api/{service}.openapi.json").read_text())
    assert document["openapi"] == "3.1.0"

    def look(node: object) -> None:
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                target: object = document
                for part in reference.removeprefix("#/").split("/"):
                    assert isinstance(target, dict), reference
                    assert part in target, reference
                    target = target[part]
            for value in node.values():
                look(value)
        elif isinstance(node, list):
            for value in node:
                look(value)

    look(document)
    operations = [
        operation
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
    ]
    assert len(operations) > 5
    for operation in operations:
        assert operation["description"], operation["operationId"]
        assert "default" in operation["responses"], operation["operationId"]
