"""What must be equal of a warehouse on two engines: values in one form."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Any


def comparable(value: Any) -> Any:
    """Give a value as both engines' drivers can give it: numbers without trailing zeros, times in ISO 8601."""
    match value:
        case None | str():
            return value
        case bool():
            return str(int(value))
        case int() | Decimal():
            return format(Decimal(value).normalize() + 0, "f")
        case float():
            # Sums of floats depend on the order of the rows.
            return f"{value:.9e}"
        case datetime():
            return value.isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
    raise TypeError(f"no relation of the warehouse holds a {type(value).__name__}")
