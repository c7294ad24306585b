"""The site's build refuses pages that load from other hosts, and finds every page of a folder."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from mkdocs.exceptions import PluginError

from tests.scripts import load_script

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    return load_script(ROOT / "docs/hooks.py")


PAGE = SimpleNamespace(file=SimpleNamespace(src_uri="guides/x.md"))


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/x.css">',
        '<img src="http://pictures.example/x.png">',
    ],
)
def test_a_page_that_loads_from_another_host_ends_the_build(hooks: ModuleType, html: str) -> None:
    with pytest.raises(PluginError, match=r"guides/x\.md loads from other hosts: .*example"):
        hooks.on_post_page(html, PAGE, None)


@pytest.mark.parametrize(
    "html",
    [
        '<script src="../assets/mermaid/mermaid.tiny.js"></script>',
        '<a href="https://keepachangelog.com">a reader may follow</a>',
        '<link rel="canonical" href="https://docs.example/x">',
    ],
)
def test_what_the_site_brings_and_what_a_reader_follows_is_no_load(hooks: ModuleType, html: str) -> None:
    assert hooks.on_post_page(html, PAGE, None) == html


def test_a_folder_in_the_navigation_stands_for_all_its_pages(hooks: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "runbooks").mkdir()
    for name in ("b.md", "README.md", "a.md", "script.py"):
        (tmp_path / "runbooks" / name).write_text("", encoding="utf-8")
    config = SimpleNamespace(docs_dir=str(tmp_path), nav=["index.md", {"Runbooks": "runbooks/"}])
    assert hooks.on_config(config).nav == [
        "index.md",
        {"Runbooks": ["runbooks/README.md", "runbooks/a.md", "runbooks/b.md"]},
    ]
