"""HTTP in and out of documents."""

import base64
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import Depends, Query, Request, Response

from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router, streams_body
from services.chassis.web.input.streams import IDENTITY, content_encoding, declared_type, pieces_of
from services.chassis.web.input.strict import Identifier
from services.chassis.web.output.streaming import StreamedFile
from services.chassis.web.problems import (
    BadRequest,
    Conflict,
    ContentTooLarge,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
    documented,
)
from services.intake.documents.content import TYPES, TypeRefused, too_large
from services.intake.documents.domain import Document
from services.intake.documents.schemas import DocumentView, NewDocument
from services.intake.documents.service import Documents, Upload
from services.intake.routes import IdempotencyKey, answered

_ALWAYS = (Unauthenticated, Forbidden, Unprocessable)
_FILE = {name: {"schema": {"type": "string", "format": "binary"}} for name in TYPES}
SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"
"""If a browser shows a document all the same, nothing in it runs or loads."""

router = bounded_router(tags=["documents"])


def _documents(request: Request) -> Documents:
    documents: Documents = request.app.state.documents
    return documents


DocumentsDep = Annotated[Documents, Depends(_documents)]
CanSubmit = Annotated[Caller, Depends(require("applications:submit"))]
CanRead = Annotated[Caller, Depends(require("parties:read"))]


@router.post(
    "/applications/{application_id}/documents",
    status_code=201,
    response_model=DocumentView,
    openapi_extra={"requestBody": {"required": True, "content": _FILE}},
    responses=documented(
        *_ALWAYS, BadRequest, NotFound, Conflict, ContentTooLarge, UnsupportedMediaType, Unavailable
    ),
)
@streams_body
async def add(  # noqa: PLR0917 - FastAPI passes by name
    application_id: Identifier,
    request: Request,
    caller: CanSubmit,
    documents: DocumentsDep,
    key: IdempotencyKey,
    new: Annotated[NewDocument, Query()],
) -> Response:
    """Add a document to your application: the body is the file as it is.

    PDF, JPEG, PNG and TIFF are taken, 20 MiB unless this installation says otherwise. 415 says that the type is
    another, that the content is not of the declared type, or that it is of two types at once. The body must arrive
    within 20 seconds, whatever X-Request-Timeout-Ms says: 408 otherwise. By default the whole request has 10 seconds;
    with `X-Request-Timeout-Ms: 30000` a slower line can use all 20. Repeated with the same Idempotency-Key and
    content within 7 days, the document that the first request added is given as it is now (`Idempotency-Replayed:
    true`). 409 says why the application takes none, or that the first request is still being worked on.
    """
    upload = Upload(new.kind, new.file_name, _media_type(request))
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > documents.max_bytes:
        raise too_large(documents.max_bytes)
    made = await documents.add(application_id, upload, pieces_of(request), by=caller, key=key)
    return answered(made, DocumentView.of(made.what), {"Location": f"/documents/{made.what.id}"})


@router.get("/applications/{application_id}/documents", responses=documented(*_ALWAYS, NotFound))
async def read_of_application(
    application_id: Identifier, caller: CanRead, documents: DocumentsDep
) -> list[DocumentView]:
    """List the documents of an application, the oldest first: at most 50."""
    return [DocumentView.of(one) for one in await documents.of_application(application_id, by=caller)]


@router.get("/documents/{document_id}", responses=documented(*_ALWAYS, NotFound))
async def read(document_id: Identifier, caller: CanRead, documents: DocumentsDep) -> DocumentView:
    """Read what is known of a document."""
    return DocumentView.of(await documents.document(document_id, by=caller))


@router.get(
    "/documents/{document_id}/content",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": _FILE},
        **documented(*_ALWAYS, NotFound, Conflict, Unavailable),
    },
)
async def download(document_id: Identifier, caller: CanRead, documents: DocumentsDep) -> Response:
    """Download a document that was found clean; 409 says with `scan_state` why it cannot be.

    Only for those who see the personal data of the application's parties: for others there is no such document.
    """
    document, pieces = await documents.content(document_id, by=caller)
    headers = {
        "Content-Length": str(document.size_bytes),
        "Content-Security-Policy": SANDBOX,
        "Repr-Digest": f"sha-256=:{base64.b64encode(document.sha256).decode()}:",
        "Document-Scanner": document.scan.scanner,
    }
    return StreamedFile(
        pieces, headers=headers, media_type=document.media_type, file_name=_stored_as(document)
    )


def _media_type(request: Request) -> str:
    declared, _ = declared_type(request)
    if declared not in TYPES:
        raise TypeRefused(f"Send the document as one of {', '.join(TYPES)}.")
    if content_encoding(request) != IDENTITY:
        raise TypeRefused("Send the document without a Content-Encoding.")
    return declared


def _stored_as(document: Document) -> str:
    """The name for the client's disk: its end says what the file is, whatever it was called."""
    name = document.file_name or str(document.id)
    extensions = TYPES[document.media_type].extensions if document.media_type in TYPES else ()
    if extensions and PurePosixPath(name).suffix.lower() not in extensions:
        return name + extensions[0]
    return name
