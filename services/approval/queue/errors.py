"""Problems of the queue."""

from services.chassis.web.problems import Unprocessable


class FiltersContradict(Unprocessable):
    """The filters exclude each other."""
