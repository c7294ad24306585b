"""Every message is there in every language; numbers, money and times are as the reader writes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel import Locale
from babel.messages.pofile import read_po

from services.analytics.catalogue.model import read_catalogue
from services.dashboard.analysis import tiles, written
from services.dashboard.forms.model import form_fields
from services.dashboard.main import PAGES
from services.dashboard.parts import words
from services.dashboard.texts.catalogue import (
    COMPLETE,
    FOLDER,
    LANGUAGES,
    chosen,
    completeness,
    described,
    messages_of,
    texts_of,
)
from services.intake.domain import Channel, PartyRole
from services.lake.domain.roles import Role
from services.lake.domain.states import State
from tests.unit.dashboard.messages import messages

OTHERS = [code for code in LANGUAGES if code != "en"]
TITLES = {kpi.title.en for kpi in read_catalogue().kpis.values()}
"""Titles of KPIs, which the catalogue of analytics has in its own languages alone."""


def values(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


def test_no_message_is_missing_in_a_complete_language() -> None:
    assert len(messages()) > 150
    for language in set(COMPLETE) - {"en"}:
        assert messages() == messages_of(language).keys()
        assert described(language) == LANGUAGES[language]


@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - set(COMPLETE)))
def test_a_language_that_is_begun_has_titles_and_nothing_left_over(language: str) -> None:
    known = messages_of(language).keys()
    assert known <= messages() | TITLES
    assert known >= TITLES | {page.title for page in PAGES} | {page.section for page in PAGES if page.section}
    assert known >= set(tiles.UNITS.values()) | {text for text, _ in written.STATUS.values()}
    assert 25 <= completeness(language) < 100
    assert described(language).endswith(f" · {completeness(language)} %")
    assert texts_of(language)("What is missing stands in English.") == "What is missing stands in English."


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_values_of_its_message(language: str) -> None:
    for message, forms in messages_of(language).items():
        for form in forms:
            assert form.strip(), message
            assert values(form) == values(message), message


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.po")), ids=lambda path: path.stem)
def test_a_catalogue_has_no_mistake(path: Path) -> None:
    assert path.stem in LANGUAGES
    with path.open("rb") as file:
        catalogue = read_po(file, locale=Locale.parse(path.stem, sep="-"), abort_invalid=True)
    assert [error for message in catalogue for error in message.check(catalogue)] == []
    assert not any(message.fuzzy for message in catalogue if message.id)


def test_every_code_has_a_word() -> None:
    assert words.STATES.keys() == set(State)
    assert words.ROLES.keys() == set(Role)
    assert words.CHANNELS.keys() == set(Channel)
    assert words.PARTY_ROLES.keys() == set(PartyRole)
    assert {str(code) for code in form_fields()["channel"].options} == set(Channel)


def test_money_numbers_and_times_are_as_the_reader_writes_them() -> None:
    english, vietnamese = texts_of("en"), texts_of("vi")
    portuguese, chinese = texts_of("pt-BR"), texts_of("zh-TW")
    assert portuguese.money("1234567.5", "BRL") == "1.234.567,50\u00a0BRL"
    assert [portuguese.plural("{count} day", "{count} days", count) for count in (1, 2)] == [
        "1 dia",
        "2 dias",
    ]
    assert chinese.plural("{count} day", "{count} days", 2) == "2 天"
    assert chinese.money("1234567.5", "TWD") == "1,234,567.50\u00a0TWD"
    assert english.money("1234567.5", "DEM") == "1,234,567.50\u00a0DEM"
    assert vietnamese.money("1234567.5", "DEM") == "1.234.567,50\u00a0DEM"
    assert english.money("2500.0000", "VND") == "2,500\u00a0VND"
    assert english.percent("0.089") == "8.90 %"
    assert english.time("2026-01-18T18:13:00Z") == "18 Jan 2026, 18:13"
    assert english.plural("{count} day", "{count} days", 1) == "1 day"
    assert english.plural("{count} day", "{count} days", 1200) == "1,200 days"
    assert vietnamese.plural("{count} day", "{count} days", 2) == "2 ngày"
    assert [english.hours(hours) for hours in (0.5, 1, 30, 100)] == [
        "30 minutes",
        "1 hour",
        "30 hours",
        "4 days",
    ]


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, None, "en"),
        (None, "vi-VN,vi;q=0.9,en;q=0.8", "vi"),
        (None, "de,fr;q=0.9", "en"),
        ("vi", "en-GB", "vi"),
        ("xx", "vi", "vi"),
        ("../../etc/passwd", "", "en"),
        ("zh-TW", None, "zh-TW"),
        (None, "pt;q=0.9", "pt-BR"),
        (None, "pt-PT,en", "pt-BR"),
        (None, "pt_BR", "en"),
        (None, "zh-HK", "zh-TW"),
        (None, "zh-Hant,en", "zh-TW"),
        (None, "zh-CN,zh;q=0.9", "en"),
        (None, "*, -, ;q=1,,en--", "en"),
    ],
)
def test_the_language_is_chosen(cookie: str | None, accepted: str | None, language: str) -> None:
    assert chosen(cookie, accepted) == language
