"""Problems of claims."""

from services.chassis.web.problems import Unavailable


class ClaimBusy(Unavailable):
    """Somebody else is claiming this application at this moment."""

    def __init__(self) -> None:
        super().__init__("Nothing was changed; send the same request again in a second.")
