"""The committed OpenAPI documents are those of the services, and a change of an API is seen."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import load_script

ROOT = Path(__file__).parents[2]
SERVICES = ("approval", "auth", "intake", "search")


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
    assert {path.name: path.read_text() for path in (ROOT / "docs/api").iterdir()} == {
        path.name: path.read_text() for path in tmp_path.iterdir()
    }


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
