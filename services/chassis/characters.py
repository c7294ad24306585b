"""Which characters text may have: no invisible ones, and none that change the direction of neighbouring text.

A name that looks like another, or that is invisible, misleads the person who decides. The refused characters follow
Unicode's default-ignorable characters (UAX #44) and the advice of UTS #39; joiners are allowed where UAX #31 does.
"""

import unicodedata

MOST_MARKS = 4
"""The limit of consecutive combining marks after normalisation: no script needs more, and more cover other lines."""

_JOINERS = "\u200c\u200d"
# Invisible, although their category is letter, mark or symbol: fillers of Hangul and Khmer, the blank of Braille.
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\u034f\u180b\u180c\u180d\u180e\u180f\U0001d159")
_VIRAMA = 9
"""The combining class of marks that join the consonants around them."""


class BadText(ValueError):
    """The text has characters that it may not have; the message does not repeat them."""


def line(text: str) -> str:
    """One line, normalised: NFC, trimmed, each run of spaces of any kind one plain space.

    Raises:
        BadText: a control, format or private character, one that is not seen or not assigned, marks on nothing.
    """
    composed = unicodedata.normalize("NFC", text)
    spaced = "".join(" " if unicodedata.category(one) == "Zs" else one for one in composed)
    made = " ".join(part for part in spaced.split(" ") if part)
    _check(made)
    return made


def lines(text: str) -> str:
    """Text of several lines, each as `line` gives it, without empty ones around it; raises BadText."""
    return "\n".join(line(one) for one in text.replace("\r\n", "\n").split("\n")).strip("\n")


def utf16_length(text: str) -> int:
    """The length of `text` in a column of SQL Server, which counts code units of UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def has_letter(text: str) -> bool:
    """Whether a letter of any script is in `text`."""
    return any(unicodedata.category(one).startswith("L") for one in text)


def _check(text: str) -> None:
    marks = 0
    for place, one in enumerate(text):
        category = unicodedata.category(one)
        before = text[place - 1] if place else " "
        after = text[place + 1] if place + 1 < len(text) else " "
        if one in _JOINERS:
            if not _joins(before, after):
                raise BadText("has an invisible joiner where none belongs")
        elif _selects(one):
            if (
                not unicodedata.category(before).startswith(("Lo", "S"))
                or _selects(before)
                or before in _BLANK
            ):
                raise BadText("has a variation selector on nothing that it could change")
        elif category in {"Cc", "Cf", "Zl", "Zp"} or one in _BLANK:
            raise BadText("has an invisible or control character")
        elif category in {"Cs", "Co", "Cn"}:
            raise BadText("has a character that is not assigned")
        elif category in {"Mn", "Mc", "Me"}:
            marks += 1
            if before == " " or marks > MOST_MARKS:
                raise BadText("has combining marks on nothing, or too many of them")
            continue
        marks = 0


def _joins(before: str, after: str) -> bool:
    """Whether a joiner changes the displayed text: between Arabic letters, or after a virama."""
    arabic = unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL"
    return arabic or unicodedata.combining(before) == _VIRAMA


def _selects(one: str) -> bool:
    return "\ufe00" <= one <= "\ufe0f" or "\U000e0100" <= one <= "\U000e01ef"
