"""Texts as cells of a CSV file. Plain Python."""

# What spreadsheets take for the beginning of a formula, in either width.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - what is meant


def defused(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula: with an apostrophe before it."""
    return f"'{text}" if text.startswith(_FORMULA) else text
