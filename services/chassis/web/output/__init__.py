"""Answers that are more than a JSON object."""
