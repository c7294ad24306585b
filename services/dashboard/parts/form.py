"""Parts of forms that the browser itself sends."""

from typing import Any

from dash import dcc


def hidden(name: str, value: str) -> Any:
    """A value that a form sends and nobody sees."""
    return dcc.Input(type="hidden", name=name, value=value)
