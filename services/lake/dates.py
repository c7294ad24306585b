"""The business's calendar: which day it is where the loans are made, whatever the server's clock is set to."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

UTC_ZONE = "UTC"
ZONE_DESCRIPTION = "IANA name of the time zone whose calendar the business keeps, such as Asia/Ho_Chi_Minh"


def today(zone: ZoneInfo) -> date:
    """The day that it is in `zone`."""
    return datetime.now(zone).date()
