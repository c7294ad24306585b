"""The attacks of docs/security/threat-model.md, each with the tests that hold it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "security"
MODEL = ROOT / "docs" / "security" / "threat-model.md"
KINDS = ("spoofing", "tampering", "repudiation", "disclosure", "denial", "elevation")
_TEST = re.compile(r"`(tests/[\w/]+\.py)` `(test_\w+)`")


@dataclass(frozen=True)
class Threat:
    """One line of the model."""

    kind: str
    attack: str
    answer: str
    tests: tuple[str, ...]
    """Their node ids."""


def threats() -> list[Threat]:
    """Every line of the model's tables."""
    found = []
    for line in MODEL.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells and cells[0] in KINDS:
            kind, attack, answer, tests = cells
            found.append(Threat(kind, attack, answer, tuple("::".join(one) for one in _TEST.findall(tests))))
    return found
