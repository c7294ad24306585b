"""The hash contract: the same text gives the same hash in Python, PostgreSQL and T-SQL.

SHA-256, in lower-case hex, of the UTF-8 bytes of the parts joined by U+001F. A part is `=` and its text, a NULL is `~`.
Nothing is normalised: a name composed (NFC) and decomposed (NFD) are two texts with two hashes. The SQL of both engines
is `hash_of` in dbt/macros/hash.sql.
"""

import hashlib

DELIMITER = "\x1f"
NULL_TOKEN = "~"  # noqa: S105 - the token of a NULL
GHOST_KEY = "0" * 64
"""The key of the ghost record, which empty references point to; no known input hashes to it."""


def hash_of(*parts: str | int | None) -> str:
    """Hash the parts of a key, as 64 hexadecimal digits.

    Text is hashed as it is, an integer as its decimal digits. The hash of None differs from that of every text.
    """
    texts = (NULL_TOKEN if part is None else f"={part}" for part in parts)
    return hashlib.sha256(DELIMITER.join(texts).encode()).hexdigest()
