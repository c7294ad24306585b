# ruff: noqa: INP001 - mkdocs loads it by path
"""What the build of the site adds: navigation over whole folders, and a refusal of pages that load from other hosts."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mkdocs.exceptions import PluginError

sys.path.insert(0, str(Path(__file__).parent))
import records

# What a browser loads without being asked to. A link that a reader follows may lead anywhere.
LOADED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
}
# These relations of <link> name a page or announce one; nothing is loaded.
NOT_LOADED = {"canonical", "alternate", "next", "prev"}


def on_config(config: Any) -> Any:
    """Replace each entry of `nav` that names a folder by its pages, its README first.

    Args:
        config: mkdocs' configuration; `nav` is a list of pages, sections and folders (their names end in a slash).
    """
    config.nav = [_expanded(entry, Path(config.docs_dir)) for entry in config.nav]
    return config


def _expanded(entry: Any, docs: Path) -> Any:
    match entry:
        case dict():
            return {title: _expanded(value, docs) for title, value in entry.items()}
        case list():
            return [_expanded(value, docs) for value in entry]
        case "decisions/":
            return [f"{entry}README.md", *_decisions(entry, docs)]
        case str() if entry.endswith("/"):
            pages = sorted((docs / entry).glob("*.md"), key=lambda page: (page.stem != "README", page.name))
            return [entry + page.name for page in pages]
        case _:
            return entry


def _decisions(entry: str, docs: Path) -> list[dict[str, list[str]]]:
    """The records by area, those that were superseded last."""
    found = records.read_records(docs / entry)
    current = [record for record in found if record.successor is None]
    old = [entry + record.file for record in found if record.successor is not None]
    areas = [{area: [entry + record.file for record in group]} for area, group in records.by_area(current)]
    return [*areas, {"Superseded": old}] if old else areas


def on_post_page(output: str, page: Any, config: Any) -> str:  # noqa: ARG001 - mkdocs passes these names
    """Return the page as it is.

    Raises:
        PluginError: the page would load something from another host.
    """
    hosts = _Hosts()
    hosts.feed(output)
    if hosts.found:
        raise PluginError(f"{page.file.src_uri} loads from other hosts: {', '.join(sorted(hosts.found))}")
    return output


class _Hosts(HTMLParser):
    """Collects the addresses with a host that a page loads from."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        address = values.get(LOADED.get(tag, "")) or ""
        if urlsplit(address).netloc and values.get("rel") not in NOT_LOADED:
            self.found.add(address)
