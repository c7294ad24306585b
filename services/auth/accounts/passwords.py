"""Password hashing with argon2id and strength checks of new passwords, off the event loop, with bounded concurrency."""

import asyncio
import re
import secrets
import unicodedata
from collections.abc import Iterable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from services.auth.errors import PasswordTooWeak

# Each hash takes 64 MiB and tens of milliseconds of a core.
MOST_AT_ONCE = 2
STRONG_ENOUGH = 3
"""zxcvbn's score for more than 10^8 guesses: too many when every guess is a request to the service."""
JUDGED_LENGTH = 72
"""zxcvbn's time grows much faster than the text. The rest of a longer password can only make it stronger."""
UNGUESSABLE_LETTERS = 6
"""The minimum of letters and digits in a password after the names in it are removed."""
PRODUCT_WORDS = ("creditmesh", "credit", "mesh", "intake", "approval", "lending", "loan", "bank", "password")


class Passwords:
    """Hashes and verifies passwords (argon2id, RFC 9106's low-memory parameters), and refuses weak new ones."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Prepare a hash to verify against when there is no user, so that both cases take the same work.

        `hasher` has other parameters.
        """
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe())
        self.slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def hash(self, password: str) -> str:
        """The encoded hash of `password`, salt and parameters included."""
        return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, encoded: str | None, password: str) -> bool:
        """Whether `password` belongs to the hash; always False, after the same work, when that is None."""
        matches = await asyncio.to_thread(self._verify, encoded or self._nobody, password)
        return matches and encoded is not None

    def is_outdated(self, encoded: str) -> bool:
        """Whether the hash has weaker parameters than the current ones."""
        return self._hasher.check_needs_rehash(encoded)

    async def judge(self, password: str, names: Iterable[str], *, pointer: str) -> None:
        """Raise PasswordTooWeak for a new password that is easy to guess (NIST SP 800-63B, 5.1.1.2).

        Args:
            password: of an allowed length.
            names: the user's names; a password made of them is weak.
            pointer: to the password in the request.
        """
        fault = await asyncio.to_thread(weakness, password, tuple(names))
        if fault is not None:
            raise PasswordTooWeak(pointer, fault)

    def _verify(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False


def weakness(password: str, names: Iterable[str] = ()) -> str | None:
    """Why a password is weak, as text that reveals no part of it; None when it is strong enough."""
    words = [*PRODUCT_WORDS]
    for name in names:
        words += [name, *(part for part in re.split(r"[\W_\d]+", name) if len(part) > 2)]
    # zxcvbn overrates punctuation between words.
    if len(_without(_letters(password), words)) < UNGUESSABLE_LETTERS <= len(_letters(password)):
        return "made of the user's or the product's name; use several unrelated words"
    found = zxcvbn(password[:JUDGED_LENGTH], user_inputs=words, max_length=JUDGED_LENGTH)
    if found["score"] >= STRONG_ENOUGH:
        return None
    hint = found["feedback"]["warning"].rstrip(".")
    return f"too easy to guess{f': {hint[0].lower()}{hint[1:]}' if hint else ''}; use several unrelated words"


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if letter.isalnum())


def _without(text: str, words: Iterable[str]) -> str:
    for word in sorted({_letters(word) for word in words}, key=len, reverse=True):
        if word:
            text = text.replace(word, "")
    return text
