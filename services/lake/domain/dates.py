"""The business's calendar: the current day at the place of business, independent of the server's time zone."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

UTC_ZONE = "UTC"
ZONE_DESCRIPTION = "IANA name of the time zone whose calendar the business keeps, such as Asia/Ho_Chi_Minh"


def today(zone: ZoneInfo) -> date:
    """The current day in `zone`."""
    return datetime.now(zone).date()


def age_on(birth_date: date, day: date) -> int:
    """The age in full years on `day`; a person born on 29 February turns a year older on 1 March of other years."""
    return day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))
