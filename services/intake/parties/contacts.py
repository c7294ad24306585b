"""A party's contact details: e-mail addresses and phone numbers, checked and normalised."""

import unicodedata
from contextlib import suppress
from typing import Annotated

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Strict, WithJsonSchema

from services.chassis.characters import line, utf16_length

LONGEST_EMAIL = 254
LONGEST_PHONE = 32


def _email(value: str) -> str:
    if len(value) > LONGEST_EMAIL:
        raise ValueError(f"has more than {LONGEST_EMAIL} characters")
    try:
        # The domain is not looked up: a submission must not wait for a name server.
        found = validate_email(line(value), check_deliverability=False, strict=True).normalized
    except EmailNotValidError:
        # The library's message repeats a part of the address.
        raise ValueError("is no e-mail address such as an@example.com") from None
    if utf16_length(found) > LONGEST_EMAIL:
        raise ValueError(f"has more than {LONGEST_EMAIL} characters as it is stored")
    return found


def _phone(value: str) -> str:
    wrong = "is no international phone number such as +84 24 3825 2916"
    if len(value) > LONGEST_PHONE or not value.isascii() or any(one.isalpha() for one in value):
        raise ValueError(wrong)
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        raise ValueError(wrong) from None
    if not phonenumbers.is_possible_number(number) or number.extension:
        raise ValueError(wrong)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def folded(text: str) -> str:
    """`text` without the differences of case, width and composition, by Unicode's definition D146."""
    made = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", made).casefold())


def email_key(email: str) -> str:
    """The common form of all spellings of an address, whoever wrote it."""
    # What another program wrote may be no address: it equals itself.
    with suppress(ValueError):
        email = _email(email)
    return folded("".join(folded(email).split()))


def phone_key(phone: str) -> str:
    """The common form of all spellings of a phone number, whoever wrote it."""
    plain = unicodedata.normalize("NFKC", phone)
    try:
        return _phone(plain)
    except ValueError:
        return "".join(one for one in plain if one.isalnum() or one == "+")


Email = Annotated[
    str,
    Strict(),
    AfterValidator(_email),
    WithJsonSchema(
        {
            "type": "string",
            "format": "email",
            "maxLength": LONGEST_EMAIL,
            "pattern": r"^[^@\s\u0000-\u001f\u007f]+@[^@\s\u0000-\u001f\u007f]+\.[^@\s\u0000-\u001f\u007f]+$",
            "examples": ["an@example.com"],
        }
    ),
]
"""An e-mail address; its domain is stored in lower case."""

Phone = Annotated[
    str,
    Strict(),
    AfterValidator(_phone),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": LONGEST_PHONE,
            "pattern": r"^\+[0-9 ()/.-]{3,31}$",
            "description": "With the code of its country; stored as E.164.",
            "examples": ["+84 24 3825 2916"],
        }
    ),
]
"""A phone number with the code of its country; stored as E.164."""
