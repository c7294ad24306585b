"""Problems that only documents answer."""

from uuid import UUID

from services.chassis.web.problems import Conflict, NotFound, Problem, Unavailable, Unprocessable
from services.intake.documents.domain import MOST_DOCUMENTS, Document, ScanState


class NoSuchDocument(NotFound):
    """There is no such document."""

    def __init__(self, document_id: UUID) -> None:
        """`document_id`: the one that was asked for."""
        super().__init__(f"No document has the id {document_id}.")


class DocumentEmpty(Unprocessable):
    """There is no document in the request."""


class DocumentsNotTaken(Conflict):
    """The application takes no more documents."""

    def __init__(self, reason: str) -> None:
        """`reason`: a sentence for people."""
        super().__init__(reason)


class TooManyDocuments(DocumentsNotTaken):
    """The application has as many documents as one can have."""

    def __init__(self) -> None:
        super().__init__(f"An application has at most {MOST_DOCUMENTS} documents.")


class DocumentsBusy(Unavailable):
    """Another document is being added to this application."""

    def __init__(self) -> None:
        super().__init__("Nothing was changed; send the same request again in a second.")


class DocumentNotClean(Conflict):
    """Only a document that was found clean can be downloaded."""

    def __init__(self, document: Document) -> None:
        """`document`: the one that was asked for."""
        super().__init__(_WHY[document.scan.state], scan_state=document.scan.state)


class DocumentLost(Problem):
    """The content of the document cannot be read."""


class NoDocumentStore(Unavailable):
    """Documents are not set up here."""


_WHY = {
    ScanState.WAITING: "It has not been scanned yet; try again shortly.",
    ScanState.FAILED: "The scan failed and will be tried again.",
    ScanState.INFECTED: "The scanner found something harmful in it.",
    ScanState.CLEAN: "It is clean.",
}
