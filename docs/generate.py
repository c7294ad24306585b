# ruff: noqa: INP001 - a script, not a package
"""Write the generated tables into the guides, or with --check say which guide is out of date.

A guide marks a place with `<!-- generated: NAME -->` and `<!-- end -->`. What stands between them is replaced by the
table of that name, which `docs/tables.py` builds from the code. Never edit it by hand.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER)]

from tables import TABLES  # noqa: E402

BLOCK = re.compile(r"^<!-- generated: ([\w-]+) -->\n(.*?)^<!-- end -->$", re.DOTALL | re.MULTILINE)


def filled(text: str) -> str:
    """Return the page with every marked block as the code has it now.

    Raises:
        KeyError: the page names a table that there is not.
        ValueError: a mark is not closed.
    """
    if len(re.findall(r"^<!-- generated:", text, re.MULTILINE)) != len(BLOCK.findall(text)):
        raise ValueError("a `generated` mark without its `<!-- end -->`")
    return BLOCK.sub(
        lambda block: f"<!-- generated: {block[1]} -->\n\n{TABLES[block[1]]()}\n\n<!-- end -->", text
    )


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write or check (`--check`) every page in `folder`.

    Returns:
        The exit status: 0 when all pages are up to date, 1 when one is not, 2 when a mark is wrong.
    """
    stale, used = [], set()
    for page in sorted(folder.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        used |= {name for name, _ in BLOCK.findall(text)}
        try:
            wanted = filled(text)
        except (KeyError, ValueError) as error:
            print(f"{page.relative_to(folder.parent)}: {error}", file=sys.stderr)
            return 2
        if wanted != text:
            stale.append(page)
            if "--check" not in arguments:
                page.write_text(wanted, encoding="utf-8")
    if unused := TABLES.keys() - used:
        print(f"no page shows {', '.join(sorted(unused))}", file=sys.stderr)
        return 2
    if stale and "--check" in arguments:
        names = ", ".join(str(page.relative_to(folder.parent)) for page in stale)
        print(f"out of date: {names}; run `make docs-tables`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
