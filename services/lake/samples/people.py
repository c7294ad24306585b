"""Synthetic people for the sample applications: the data set has no names, dates or identifiers.

Everything is generated from a fixed seed and recognisable: e-mail addresses in the reserved domain example.com,
national ids that begin with SAMPLE.
"""

import random
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta

from services.lake.domain.schedule import months_later

GIVEN_NAMES = (
    "Anna", "Ben", "Clara", "David", "Elif", "Felix", "Greta", "Hannes", "Ida", "Jonas", "Karim", "Lena",
    "Marek", "Nora", "Oskar", "Paula", "Quang", "Rosa", "Stefan", "Thảo", "Ulla", "Viktor", "Wanda", "Ánh",
)  # fmt: skip
FAMILY_NAMES = (
    "Albrecht", "Bauer", "Çelik", "Dietrich", "Engel", "Fuchs", "Günther", "Hoffmann", "Ivanov", "Jäger",
    "Krüger", "Lê", "Müller", "Nguyễn", "Özdemir", "Pham", "Richter", "Schäfer", "Trần", "Vogel", "Weiß", "Żak",
)  # fmt: skip
_DAYS_TO_BIRTHDAY = 300
"""No birthday is in the next weeks: an age stays correct for two months after its day."""


@dataclass(frozen=True, slots=True)
class Person:
    """A made-up applicant."""

    full_name: str
    birth_date: date
    national_id: str
    email: str
    phone: str


def person(chance: random.Random, number: int, age_years: int, on: date) -> Person:
    """Generate the applicant of application `number`, `age_years` old `on` the day of application."""
    given, family = chance.choice(GIVEN_NAMES), chance.choice(FAMILY_NAMES)
    birthday = months_later(on, -12 * age_years)
    birth_date = birthday - timedelta(days=chance.randrange(365) * _DAYS_TO_BIRTHDAY // 365)
    return Person(
        full_name=f"{given} {family}",
        birth_date=birth_date,
        national_id=f"SAMPLE-{number:06d}",
        email=f"{_ascii(given)}.{_ascii(family)}.{number}@example.com",
        phone=f"+49 30 5550{number:05d}",
    )


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return plain.lower()
