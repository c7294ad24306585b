"""Every message that the pages can show, found in their code and in the form."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import services.dashboard
from services.dashboard.analysis import tiles, written
from services.dashboard.forms.model import application_form, shown
from services.dashboard.main import PAGES
from services.dashboard.pages import approve, figure_rows, figures, quality, search
from services.dashboard.parts import decision, health, questions, words

FOLDER = Path(services.dashboard.__file__).parent


def literals() -> Iterator[str]:
    """The texts in calls of `t(…)` and `t.plural(…)`."""
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func
            called = (
                name.id
                if isinstance(name, ast.Name)
                else name.attr
                if isinstance(name, ast.Attribute)
                else ""
            )
            if called in {"t", "texts"} or called == "plural":
                yield from _constants(node.args[:1])


def _constants(arguments: list[ast.expr]) -> Iterator[str]:
    for one in arguments:
        if isinstance(one, ast.IfExp):
            yield from _constants([one.body, one.orelse])
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def tables() -> Iterator[str]:
    """The texts that stand in tables."""
    for page in PAGES:
        yield page.title
        if page.section is not None:
            yield page.section
    for plain in (
        words.ROLES,
        words.SERVICES,
        words.CHANNELS,
        words.PARTY_ROLES,
        search.ORDERS,
        search.FACETS,
        health.PROCESSES,
        health.ALERTS,
    ):
        yield from plain.values()
    yield from (text for pair in words.UNSET.values() for text in pair)
    yield from approve.ORDERS.values()
    yield from approve.CLAIMED.values()
    yield from (text for pair in figures.LEADS.values() for text in pair)
    for plain in (tiles.UNITS, written.BUCKETS, figure_rows.COLUMNS):
        yield from plain.values()
    for coloured in (
        written.STATUS,
        words.STATES,
        words.OUTCOMES,
        words.STAGE_STATUS,
        quality.OUTCOMES,
        health.HEALTH,
        health.URGENCY,
    ):
        yield from (text for text, _ in coloured.values())
    yield from (title for title, _, _ in decision.ACTIONS.values())
    yield approve.KEYS_HINT
    yield from (label for label, _ in questions.BORROWER.values())
    for section in application_form():
        yield section.section
        for field in section.fields:
            yield field.label
            yield from (text for text in field.options.values() if not text.isdecimal())
    yield from (shown(name, "")[0] for name in ("age_years", "currency", "parties", "score"))
    yield from ("Yes", "No")


def messages() -> set[str]:
    """All of them."""
    return {text for text in (*literals(), *tables()) if text.strip()}
