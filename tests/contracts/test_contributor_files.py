"""The files for contributors exist and parse, and the hooks find faults."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PRE_COMMIT = ROOT / ".venv/bin/pre-commit"
HOOKS = {"ruff", "ruff-format", "mypy", "sqlfluff", "secrets", "secrets-in-tests"}
# In pieces, so that the check does not find it here.
PRIVATE_KEY = "-----BEGIN " + "RSA PRIVATE KEY-----\n"


@pytest.fixture(scope="module")
def hooks() -> list[dict[str, Any]]:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"], "hooks fetch nothing"
    found: list[dict[str, Any]] = config["repos"][0]["hooks"]
    return found


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of its own with our hooks and tools, and nothing in it yet."""
    shutil.copy(ROOT / ".pre-commit-config.yaml", tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / ".gitignore").write_text(".venv\n", encoding="utf-8")
    for folder in ("services", "tests"):
        (tmp_path / folder).mkdir()
    git(tmp_path, "init", "--quiet")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    # A hook's own variables would lead git to the outer repository.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", *arguments], cwd=folder, env=clean, check=True)


def run_hook(folder: Path, hook: str) -> subprocess.CompletedProcess[str]:
    git(folder, "add", "--all")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        [PRE_COMMIT, "run", hook, "--all-files", "--verbose"],
        cwd=folder,
        env=clean | {"PRE_COMMIT_HOME": str(folder.parent / f"{folder.name}-hooks")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("LICENSE", "Copyright 2026 creditmesh contributors"),
        ("LICENSE", "END OF TERMS AND CONDITIONS"),
        ("CONTRIBUTING.md", "## Words"),
        ("CHANGELOG.md", "## [Unreleased]"),
        ("SECURITY.md", "## Reporting a vulnerability"),
        (".editorconfig", "root = true"),
        (".github/pull_request_template.md", "make test"),
    ],
)
def test_a_file_that_a_stranger_looks_for_is_here(file: str, says: str) -> None:
    assert says in (ROOT / file).read_text(encoding="utf-8")


def test_every_issue_template_has_a_name_and_a_purpose() -> None:
    templates = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.md"))
    assert templates
    for template in templates:
        _, front, body = template.read_text(encoding="utf-8").split("---\n", 2)
        assert {"name", "about"} <= yaml.safe_load(front).keys()
        assert body.strip()


def test_the_licence_of_the_package_is_the_licence_file() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_every_change_of_the_log_stands_under_a_known_heading() -> None:
    """Keep a Changelog has six kinds of change."""
    headings = re.findall(r"^### (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(headings) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert headings


def test_the_hooks_are_valid_and_need_no_network(hooks: list[dict[str, Any]]) -> None:
    subprocess.run([PRE_COMMIT, "validate-config", ROOT / ".pre-commit-config.yaml"], check=True)
    assert {hook["id"] for hook in hooks} == HOOKS
    assert {hook["language"] for hook in hooks} == {"system"}


def test_a_hook_that_scans_for_secrets_asks_no_provider_about_them(hooks: list[dict[str, Any]]) -> None:
    scans = [hook["entry"] for hook in hooks if hook["id"].startswith("secrets")]
    assert scans
    assert all("--no-verify" in entry.split() for entry in scans)


@pytest.mark.parametrize("hook", ["ruff", "ruff-format", "secrets", "secrets-in-tests"])
def test_a_hook_passes_clean_files(checkout: Path, hook: str) -> None:
    for folder in ("services", "tests"):
        (checkout / folder / "clean.py").write_text('"""Nothing."""\n', encoding="utf-8")
    done = run_hook(checkout, hook)
    assert done.returncode == 0, done.stdout
    assert "no files to check" not in done.stdout


@pytest.mark.parametrize(
    ("hook", "file", "text", "complaint"),
    [
        ("ruff", "services/bad.py", "import os\n", "F401"),
        ("ruff-format", "services/bad.py", "x  =  1\n", "would be reformatted"),
        ("secrets", "services/bad.py", f'KEY = """{PRIVATE_KEY}"""\n', "Private Key"),
        ("secrets", "settings.yml", 'password: "' + "kq7" + 'Wv2xTzPb9"\n', "Secret Keyword"),
        ("secrets-in-tests", "tests/bad.py", f'KEY = """{PRIVATE_KEY}"""\n', "Private Key"),
    ],
)
def test_a_hook_stops_what_it_is_for(checkout: Path, hook: str, file: str, text: str, complaint: str) -> None:
    (checkout / file).write_text(text, encoding="utf-8")
    done = run_hook(checkout, hook)
    assert done.returncode == 1, done.stdout
    assert complaint in done.stdout


def test_every_target_is_in_the_help_under_a_purpose() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    purposes = re.findall(r"^(\S.*)$", shown, re.MULTILINE)
    assert purposes == ["Try it", "Work on it", "Check it", "Measure it", "Operate it"]
    assert sorted(re.findall(r"^  ([a-z-]+) ", shown, re.MULTILINE)) == sorted(phony.group(1).split())


def test_the_readme_shows_a_picture_within_its_first_screen() -> None:
    first = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:20])
    picture = re.search(r"!\[.+\]\((docs/images/\S+\.png)\)", first)
    assert picture is not None
    assert (ROOT / picture[1]).read_bytes().startswith(b"\x89PNG")
