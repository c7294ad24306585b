"""Problems that only imports answer."""

from uuid import UUID

from services.chassis.web.problems import Conflict, ContentTooLarge, NotFound, Unavailable, Unprocessable
from services.intake.imports.domain import MOST_WAITING


class NoSuchImport(NotFound):
    """There is no such import."""

    def __init__(self, import_id: UUID) -> None:
        """`import_id`: the one that was asked for."""
        super().__init__(f"No import of yours has the id {import_id}.")


class FileRefused(Unprocessable):
    """The file cannot be read as what it says it is."""

    def __init__(self, detail: str) -> None:
        """`detail`: what is wrong; never what the file says."""
        super().__init__("Nothing of the file was taken.", errors=[{"pointer": "/body", "detail": detail}])


class ExpandsTooMuch(ContentTooLarge):
    """The file is far smaller than what it unpacks to."""


class TooManyImports(Conflict):
    """Other imports of yours have not ended."""

    def __init__(self) -> None:
        super().__init__(f"Wait until one of them has ended: {MOST_WAITING} can wait at a time.")


class ImportsBusy(Unavailable):
    """Other files or rows of this sender are being written."""

    def __init__(self) -> None:
        super().__init__("Nothing was written. Try again.")


class NoImportStore(Unavailable):
    """Imports are not set up here."""
