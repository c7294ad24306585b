"""What `make lint-api` finds: planted faults of OpenAPI and AsyncAPI documents, and planted breaking changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scripts import load_script

ROOT = Path(__file__).parents[2]
API = ROOT / "docs" / "api"
LINT = load_script(ROOT / "docs/lint_api.py")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not (LINT.TOOLS / ".installed").exists(),
        reason="`make lint-api` installs the tools that these tests run",
    ),
]

Document = dict[str, Any]
FIND = ("paths", "/applications", "get")


def at(document: Document, *path: str) -> Any:
    node: Any = document
    for name in path:
        node = node[name]
    return node


def planted(name: str, change: Callable[[Document], object], folder: Path) -> Path:
    """A copy of a committed document with one change."""
    document = json.loads((API / name).read_text(encoding="utf-8"))
    change(document)
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def rename(node: Document, old: str, new: str) -> None:
    node[new] = node.pop(old)


def without_amount(document: Document) -> None:
    found = at(document, "components", "schemas", "FoundApplication")
    del found["properties"]["amount"]
    found["required"].remove("amount")


def test_the_committed_documents_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert LINT.main(["--base", "HEAD"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("paths-are-kebab-case", lambda d: rename(d["paths"], "/applications", "/foundApplications")),
        (
            "parameters-are-snake-case",
            lambda d: next(p for p in at(d, *FIND)["parameters"] if p.get("name") == "q").update(
                name="fullText"
            ),
        ),
        (
            "members-are-snake-case",
            lambda d: rename(
                at(d, "components", "schemas", "FoundApplication")["properties"], "borrower_id", "borrowerId"
            ),
        ),
        (
            "errors-are-problems",
            lambda d: at(d, *FIND, "responses").update(
                {"418": {"description": "no", "content": {"text/plain": {"schema": {"type": "string"}}}}}
            ),
        ),
        ("too-many-requests-are-declared", lambda d: at(d, *FIND, "responses").pop("429")),
        ("lists-end", lambda d: at(d, "components", "schemas", "FoundPage", "properties").pop("next")),
        (
            "operation-operationId-unique",
            lambda d: at(d, *FIND).update(
                operationId=at(d, "paths", "/applications.csv", "get", "operationId")
            ),
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_planted_fault_is_named(rule: str, change: Callable[[Document], object], tmp_path: Path) -> None:
    good, said = LINT.spectral([planted("search.openapi.json", change, tmp_path)])
    assert not good
    assert rule in said


def test_a_fault_of_the_change_topics_is_named(tmp_path: Path) -> None:
    broken = planted(
        "lake.asyncapi.json", lambda d: d["channels"]["credit.party"].update(adress="x"), tmp_path
    )
    good, said = LINT.asyncapi(broken)
    assert not good
    assert "credit.party" in said


@pytest.mark.parametrize(
    "change",
    [
        without_amount,
        lambda d: d["paths"].pop("/applications/{application_id}/audit"),
        lambda d: at(d, *FIND)["parameters"].append(
            {"name": "branch", "in": "query", "required": True, "schema": {"type": "string"}}
        ),
    ],
    ids=["a member of an answer is gone", "a path is gone", "a parameter is required"],
)
def test_case_33_a_breaking_change_is_found(change: Callable[[Document], object], tmp_path: Path) -> None:
    good, said = LINT.breaking(API / "search.openapi.json", planted("search.openapi.json", change, tmp_path))
    assert not good
    assert "error" in said


def test_case_33_what_is_added_breaks_nothing(tmp_path: Path) -> None:
    def add(document: Document) -> None:
        found = at(document, "components", "schemas", "FoundApplication", "properties")
        found["branch"] = {"type": "string"}
        at(document, *FIND)["parameters"].append(
            {"name": "branch", "in": "query", "schema": {"type": "string"}}
        )

    good, said = LINT.breaking(API / "search.openapi.json", planted("search.openapi.json", add, tmp_path))
    assert good, said
