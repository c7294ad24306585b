"""The words that documents and sources avoid, and how they are found."""

import io
import re
import tokenize

WORDS = {
    r"anew": "again, rebuilt, recreated, recomputed",
    r"pass(?:es)? by (?:itself|themselves)": "transient",
    r"so (?:many|long)\b(?! as)": "at most N, for N seconds",
    r"(?:is|are|was|were) held up": "waits for",
    r"(?:is|are) behind what": "lags, is below",
    r"sort(?:s|ed|ing)? out": "parse",
    r"(?:tak(?:es?|en|ing)|took) up(?! to\b)": "adopt",
    r"look(?:s|ed|ing)? after": "supervise",
    r"give(?:s|n)? way|giving way": "yields, is rolled back",
    r"go(?:es)? on by (?:itself|themselves)": "resumes without help",
    r"stands? still": "does not rise, does not change",
    r"time and again": "again and again, every N seconds",
    r"for want of": "because … is missing",
    r"whence|hence|thereof|wherein|lest|ere": "from where, therefore, of it, in which, so that … not, before",
}
"""By the words that are avoided, as regular expressions: the words to use."""
NOT_PROSE = re.compile(r"\]\([^)]*\)|`[^`\n]*`|^```.*?^```", re.DOTALL | re.MULTILINE)
"""Names of files and of code keep their words."""
_PROSE_OF_PYTHON = {tokenize.COMMENT, tokenize.STRING}
if hasattr(tokenize, "FSTRING_MIDDLE"):  # since Python 3.12 the text of an f-string is a token of its own
    _PROSE_OF_PYTHON.add(tokenize.FSTRING_MIDDLE)


def found(text: str) -> list[str]:
    """Each avoided word of a text, with the words to use."""
    prose = NOT_PROSE.sub(" ", text)
    return [
        f"{match[0]!r}: write {better}"
        for avoided, better in WORDS.items()
        for match in re.finditer(rf"\b(?:{avoided})\b", prose, re.IGNORECASE)
    ]


def prose_of_python(source: str) -> str:
    """Comments, docstrings and texts of a Python source, each from a line of its own."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join(token.string for token in tokens if token.type in _PROSE_OF_PYTHON)
