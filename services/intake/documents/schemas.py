"""Parameters and bodies of the HTTP API of documents."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.chassis.web.input.strict import Label
from services.intake.documents.domain import UNSCANNED, Document, DocumentKind, ScanState


class NewDocument(BaseModel):
    """What is said of a document beside its body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Annotated[DocumentKind, Field(description="What it proves.")]
    file_name: Annotated[
        str, Label(255), Field(description="What it is called; it is data, and never a path.")
    ]


class DocumentView(BaseModel):
    """A document; `file_name` is null for those who see no personal data.

    Only one whose `scan_state` is `clean` counts and can be downloaded. The `scanner` `none` means that nobody looked.
    """

    id: UUID
    application_id: UUID
    kind: DocumentKind
    file_name: str | None
    media_type: str
    size_bytes: int
    sha256: Annotated[str, Field(description="SHA-256 of the content, in hexadecimal digits.")]
    uploaded_by: UUID
    uploaded_at: datetime
    scan_state: ScanState
    scanner: str
    scan_note: Annotated[str | None, Field(description="What to know about the state, for people.")]
    finding: Annotated[str | None, Field(description="What the scanner calls that which it found.")]
    scanned_at: datetime | None

    @classmethod
    def of(cls, document: Document) -> Self:
        """Show `document`."""
        scan = document.scan
        return cls(
            id=document.id,
            application_id=document.application_id,
            kind=DocumentKind(document.kind),
            file_name=document.file_name,
            media_type=document.media_type,
            size_bytes=document.size_bytes,
            sha256=document.sha256.hex(),
            uploaded_by=document.uploaded_by,
            uploaded_at=document.uploaded_at,
            scan_state=scan.state,
            scanner=scan.scanner,
            scan_note=_NOT_SCANNED if scan.scanner == UNSCANNED else _NOTES.get(scan.state),
            finding=scan.finding,
            scanned_at=scan.scanned_at,
        )


_NOT_SCANNED = "This installation has no scanner: nobody looked for malware."
_NOTES = {
    ScanState.WAITING: "It waits for its scan.",
    ScanState.FAILED: "The scan failed and is tried again.",
    ScanState.INFECTED: "The scanner found something harmful; it cannot be downloaded.",
}
