"""Messages in the reader's language, and numbers, money and times as that language writes them.

A message is its English text. `<language>.po` beside this file has the translations. A language is added by adding its
file: what it lacks is shown in English. Tests hold that the languages of COMPLETE lack nothing.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.core import get_global
from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

FOLDER = Path(__file__).parent
DEFAULT = "en"
COMPLETE = ("en", "vi")
_DAY = "d MMM y"

Messages = Mapping[str, tuple[str, ...]]


def _locale(language: str) -> Locale:
    return Locale.parse(language, sep="-")


def _name(language: str) -> str:
    name = str(_locale(language).get_display_name())
    return name[:1].upper() + name[1:]


LANGUAGES: Mapping[str, str] = {
    language: _name(language) for language in (DEFAULT, *sorted(path.stem for path in FOLDER.glob("*.po")))
}
"""What can be chosen, each by its own name; the codes are those of BCP 47."""


def _catalogue(language: str) -> Catalog:
    with (FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=_locale(language))


@cache
def messages_of(language: str) -> Messages:
    """The translations of a language by their English text, with one form for each plural of the language."""
    if language == DEFAULT:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for message in _catalogue(language):
        if not message.id:
            continue
        if isinstance(message.id, str):
            found[message.id] = (str(message.string),)
        else:
            found[message.id[0]] = tuple(message.string or ())
    return found


@cache
def completeness(language: str) -> int:
    """How much of the pages a language has, as a whole percentage."""
    if language in COMPLETE:
        return 100
    every = messages_of(COMPLETE[-1]).keys()
    return 100 * len(every & messages_of(language).keys()) // len(every)


@cache
def described(language: str) -> str:
    """The name of a language, with how much of the pages it has where that is not all."""
    share = completeness(language)
    return LANGUAGES[language] if share == 100 else f"{LANGUAGES[language]} · {share} %"


def _translations(language: str) -> NullTranslations:
    if language == DEFAULT:
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, _catalogue(language))
    compiled.seek(0)
    return GNUTranslations(compiled)


class Texts:
    """What a page says, in one language."""

    def __init__(self, language: str) -> None:
        """`language`: one of LANGUAGES."""
        self.language = language
        self._messages = _translations(language)
        self._locale = _locale(language)

    def __call__(self, message: str, **values: object) -> str:
        """The message in this language, `{name}` replaced by the value of that name."""
        found = self._messages.gettext(message)
        return found.format(**values) if values else found

    def plural(self, one: str, many: str, count: int, **values: object) -> str:
        """The form of a message that fits `count`, which `{count}` stands for."""
        form = self._messages.ngettext(one, many, count)
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

    def seconds(self, seconds: float) -> str:
        """How long something takes or was ago, in the largest unit that fits."""
        if seconds < 60:
            return self.plural("{count} second", "{count} seconds", round(seconds))
        return self.hours(seconds / 3600)

    def milliseconds(self, microseconds: int) -> str:
        """A duration of a span: in milliseconds, from ten seconds on in seconds."""
        if abs(microseconds) < 10_000_000:
            return f"{format_decimal(microseconds / 1000, format='#,##0.0', locale=self._locale)}\u00a0ms"
        return f"{format_decimal(microseconds / 1_000_000, format='#,##0.0', locale=self._locale)}\u00a0s"

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
        language = _BY_SCRIPT.get(_script(part.partition(";")[0].strip()))
        if language is not None:
            return language
    return DEFAULT


def _script(tag: str) -> tuple[str, str] | None:
    """Language and script of a tag of BCP 47, None of no tag: who reads zh-HK reads zh-TW, who reads zh-CN does not."""
    subtags = tag.split("-")
    name = subtags[0].lower()
    for one in subtags[1:]:
        if len(one) == 4:
            return name, one.title()
    likely = get_global("likely_subtags")
    known = likely.get("_".join((name, *(one.upper() for one in subtags[1:2])))) or likely.get(name)
    return (name, known.split("_")[1]) if known else None


_BY_SCRIPT = {_script(language): language for language in LANGUAGES}


def _decimal(value: Decimal | int | str) -> Decimal:
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(f"not a number: {value!r}") from None
