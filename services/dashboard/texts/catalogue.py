"""Messages in the reader's language, and numbers, money and times as that language writes them.

A message is its English text. `<language>.po` beside this file has the translations; tests hold that none is missing.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

FOLDER = Path(__file__).parent
LANGUAGES: Mapping[str, str] = {"en": "English", "vi": "Tiếng Việt"}
"""What can be chosen, each by its own name."""
DEFAULT = "en"
_DAY = "d MMM y"

Messages = Mapping[str, tuple[str, ...]]


@cache
def messages_of(language: str) -> Messages:
    """The translations of a language by their English text, with one form for each plural of the language."""
    if language == DEFAULT:
        return {}
    with (FOLDER / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    found: dict[str, tuple[str, ...]] = {}
    for message in catalogue:
        if not message.id:
            continue
        if isinstance(message.id, str):
            found[message.id] = (str(message.string),)
        else:
            found[message.id[0]] = tuple(message.string or ())
    return found


class Texts:
    """What a page says, in one language."""

    def __init__(self, language: str) -> None:
        """`language`: one of LANGUAGES."""
        self.language = language
        self._messages = messages_of(language)
        self._locale = Locale.parse(language)

    def __call__(self, message: str, **values: object) -> str:
        """The message in this language, `{name}` replaced by the value of that name."""
        found = self._messages.get(message, (message,))[0]
        return found.format(**values) if values else found

    def plural(self, one: str, many: str, count: int, **values: object) -> str:
        """The form of a message that fits `count`, which `{count}` stands for."""
        forms = self._messages.get(one)
        # Vietnamese has one form for every number.
        form = forms[-1] if forms is not None else one if count == 1 else many
        return form.format(count=self.number(count), **values)

    def number(self, value: Decimal | int | str) -> str:
        """A number with its separators."""
        return str(format_decimal(_decimal(value), locale=self._locale))

    def money(self, amount: Decimal | int | str, currency: str) -> str:
        """An amount with its currency's code behind it: several currencies have the same sign."""
        shown = _decimal(amount)
        pattern = "#,##0.00" if shown != shown.to_integral_value() else "#,##0"
        return f"{format_decimal(shown, format=pattern, locale=self._locale)}\u00a0{currency}"

    def percent(self, fraction: Decimal | str) -> str:
        """A fraction as a percentage with two decimals."""
        return str(format_percent(_decimal(fraction), format="#,##0.00 %", locale=self._locale))

    def day(self, value: str | date) -> str:
        """A day."""
        day = date.fromisoformat(value) if isinstance(value, str) else value
        return str(format_date(day, format=_DAY, locale=self._locale))

    def time(self, value: str | datetime) -> str:
        """A day and a time of UTC."""
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        return str(format_datetime(instant.astimezone(UTC), format=f"{_DAY}, HH:mm", locale=self._locale))

    def hours(self, hours: float) -> str:
        """For how long something has lasted, in the largest unit that fits."""
        if hours < 1:
            return self.plural("{count} minute", "{count} minutes", round(hours * 60))
        if hours < 48:
            return self.plural("{count} hour", "{count} hours", round(hours))
        return self.plural("{count} day", "{count} days", round(hours / 24))


@cache
def texts_of(language: str) -> Texts:
    """The texts of a language of LANGUAGES."""
    return Texts(language)


def chosen(cookie: str | None, accepted: str | None) -> str:
    """The language of a reader: the one that they chose, else the first that their browser accepts and there is."""
    if cookie in LANGUAGES:
        return str(cookie)
    for part in (accepted or "").split(","):
        name = part.partition(";")[0].strip().lower().partition("-")[0]
        if name in LANGUAGES:
            return name
    return DEFAULT


def _decimal(value: Decimal | int | str) -> Decimal:
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(f"not a number: {value!r}") from None
