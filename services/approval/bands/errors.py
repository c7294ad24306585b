"""Problems of proposals of bands."""

from collections.abc import Iterable

from services.chassis.web.problems import Conflict, Unprocessable


class BandsRefused(Unprocessable):
    """The bands do not fit together."""

    def __init__(self, faults: Iterable[tuple[str, str]]) -> None:
        """`faults`: pointers below the list of bands, and what is wrong there."""
        errors = [{"pointer": f"/body/bands{pointer}", "detail": detail} for pointer, detail in faults]
        super().__init__("Correct the parts named in errors.", errors=errors)


class BandsOutdated(Conflict):
    """The bands do not fit those of today any more."""
