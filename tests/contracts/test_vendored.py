"""Files of others that are kept here are those of their package, unchanged, with their licence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from services.platform.settings import ROOT

NOTES = sorted(
    path
    for folder in ("docs", "services", "tests")
    for path in (ROOT / folder).rglob("vendored.json")
    if "node_modules" not in path.parts
)
"""Beside each set of such files: package, version, licence, and the SHA-256 of each file."""


@pytest.mark.parametrize("note", NOTES, ids=lambda note: str(note.relative_to(ROOT)))
def test_files_of_others_are_as_they_were_published(note: Path) -> None:
    said = json.loads(note.read_text(encoding="utf-8"))
    assert {"package", "registry", "version", "licence", "integrity", "files"} == said.keys()
    assert said["integrity"].startswith("sha512-")
    found = {path.name for path in note.parent.iterdir()} - {note.name}
    assert found == said["files"].keys(), "a file is missing, or one is not noted"
    assert any(name.startswith("LICENSE") for name in found)
    for name, file in said["files"].items():
        assert hashlib.sha256((note.parent / name).read_bytes()).hexdigest() == file["sha256"], name


def test_large_scripts_are_noted() -> None:
    noted = {note.parent / name for note in NOTES for name in json.loads(note.read_text())["files"]}
    scripts = [path for folder in ("docs", "services", "tests") for path in (ROOT / folder).rglob("*.min.js")]
    scripts += [path for path in (ROOT / "docs").rglob("*.js") if path.stat().st_size > 50_000]
    assert scripts
    assert set(scripts) <= noted
