"""Every message is there in every language; numbers, money and times are as the reader writes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from services.dashboard.forms.model import form_fields
from services.dashboard.parts import words
from services.dashboard.texts.catalogue import FOLDER, LANGUAGES, chosen, messages_of, texts_of
from services.intake.domain import Channel, PartyRole
from services.lake.domain.roles import Role
from services.lake.domain.states import State
from tests.unit.dashboard.messages import messages

OTHERS = [code for code in LANGUAGES if code != "en"]


def values(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


@pytest.mark.parametrize("language", OTHERS)
def test_no_message_is_missing_or_left_over(language: str) -> None:
    assert len(messages()) > 150
    assert messages() == messages_of(language).keys()


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
        catalogue = read_po(file, locale=path.stem, abort_invalid=True)
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
    ],
)
def test_the_language_is_chosen(cookie: str | None, accepted: str | None, language: str) -> None:
    assert chosen(cookie, accepted) == language
