"""Typing errors in the words of a search: the words of names that are on record, and which of them are meant."""
