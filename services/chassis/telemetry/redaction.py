"""The one filter that keeps personal data and secrets out of logs and spans."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"

_KEYS = (
    "full_name|first_name|last_name|given_name|family_name|birth_name|middle_name|maiden_name|legal_name"
    "|display_name|party_name|person_name|national_id|tax_id|passport|date_of_birth|birth_date|e_?mail"
    "|phone|mobile|iban|password|passwd|passphrase|secret|token|jwt|authorization|cookie|api_key|private_key"
    "|encryption_key|credentials?"
)
_SENSITIVE_KEY = re.compile(rf"(?:^|[._-])(?:{_KEYS})(?:$|_(?:hash|value|address|number))", re.IGNORECASE)
_SUSPICIOUS = re.compile(r"[@=:(]|eyJ|bearer", re.IGNORECASE)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # PostgreSQL and SQLAlchemy put the offending values into their messages.
    (re.compile(r"(Key \([^)]*\)=\().*?(\)(?= |\.|$))", re.MULTILINE), rf"\1{REDACTED}\2"),
    (re.compile(r"(Failing row contains \().*(\))"), rf"\1{REDACTED}\2"),
    (re.compile(r"(duplicate key value is \().*?(\))", re.IGNORECASE), rf"\1{REDACTED}\2"),
    (re.compile(r"\[parameters: .*?\](?=\n|$)", re.DOTALL), f"[parameters: {REDACTED}]"),
    (re.compile(r"input_value=.*?, input_type"), f"input_value={REDACTED}, input_type"),
    (re.compile(r"(://[^:/@\s]*:)[^@/\s]+@"), rf"\1{REDACTED}@"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), REDACTED),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"), REDACTED),
    (
        re.compile(
            rf"""((?:\b|_)(?:{_KEYS})["']?\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&)}}\]]+)""", re.IGNORECASE
        ),
        rf"\1{REDACTED}",
    ),
)


@lru_cache(maxsize=4096)
def is_sensitive(key: str) -> bool:
    """Whether the value under this key is personal data or a secret, whatever it looks like."""
    return _SENSITIVE_KEY.search(key) is not None


def scrub(text: str) -> str:
    """`text` without e-mail addresses, tokens, passwords and the values that errors of databases quote."""
    if _SUSPICIOUS.search(text) is None:
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact(key: str, value: Any) -> Any:
    """`value` as it may leave the process under `key`; walks mappings and sequences."""
    if is_sensitive(key) and value is not None:
        return REDACTED
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {name: redact(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact("", inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return scrub(str(value))
