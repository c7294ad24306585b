"""HTTP in and out of imports."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router, streams_body
from services.chassis.web.input.streams import IDENTITY, UTF_8, content_encoding, declared_type, pieces_of
from services.chassis.web.input.strict import Identifier
from services.chassis.web.output.streaming import StreamedFile
from services.chassis.web.paging import AfterText, CursorsDep, Limit
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
from services.intake.imports.domain import SCOPES, FileFormat, ImportKind
from services.intake.imports.formats import too_large
from services.intake.imports.schemas import ImportPage, ImportView, RowStatus
from services.intake.imports.service import Imports, Sent
from services.intake.routes import IdempotencyKey, answered

_ALWAYS = (Unauthenticated, Forbidden, Unprocessable)
_FORMATS = {"application/x-ndjson": FileFormat.NDJSON, "text/csv": FileFormat.CSV}
_FILE = {name: {"schema": {"type": "string", "format": "binary"}} for name in _FORMATS}
_NEEDED = {kind: [require(scope) for scope in sorted(SCOPES[kind])] for kind in ImportKind}

router = bounded_router(prefix="/imports", tags=["imports"])


def _imports(request: Request) -> Imports:
    imports: Imports = request.app.state.imports
    return imports


ImportsDep = Annotated[Imports, Depends(_imports)]
CanImport = Annotated[Caller, Depends(require("applications:submit", "loans:service"))]
Kind = Annotated[ImportKind, Query(description="What the rows become.")]


@router.post(
    "",
    status_code=202,
    response_model=ImportView,
    openapi_extra={"requestBody": {"required": True, "content": _FILE}},
    responses=documented(*_ALWAYS, BadRequest, Conflict, ContentTooLarge, UnsupportedMediaType, Unavailable),
)
@streams_body
async def add(
    kind: Kind, request: Request, caller: CanImport, imports: ImportsDep, key: IdempotencyKey
) -> Response:
    """Send a file of applications (`applications:submit`, `parties:write`) or of payments (`loans:service`).

    The body is NDJSON, a row on each line, or CSV as RFC 4180 has it with a header: the members' paths, such as
    `party.full_name`. UTF-8; packed with `Content-Encoding: gzip`. 413 above 256 MiB unpacked, unless this
    installation says otherwise, above 1,000,000 rows, and for what unpacks to more than a hundred times its size. The
    rows are written afterwards, each by the rules of `POST /parties` and `POST /applications`, or of `POST
    /loans/{loan_id}/transactions`: `Location` says how far. A row is known by its `external_ref`, else by its file
    and line: what is sent again is made once. The body must arrive within 20 seconds: pack large files, and send
    `X-Request-Timeout-Ms: 60000`.
    """
    for needed in _NEEDED[kind]:
        await needed(caller)
    sent = Sent(kind, _format(request), _is_gzipped(request))
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > imports.max_bytes:
        raise too_large(imports.max_bytes)
    made = await imports.add(sent, pieces_of(request), by=caller, key=key)
    return answered(made, ImportView.of(made.what), {"Location": f"/imports/{made.what.id}"})


@router.get("", responses=documented(*_ALWAYS, BadRequest))
async def read_page(
    caller: CanImport,
    imports: ImportsDep,
    cursors: CursorsDep,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> ImportPage:
    """List your imports, the newest first."""
    return ImportPage.of(await imports.page(cursors.start(after), limit + 1, by=caller), limit, cursors)


@router.get("/{import_id}", responses=documented(*_ALWAYS, NotFound))
async def read(import_id: Identifier, caller: CanImport, imports: ImportsDep) -> ImportView:
    """Read how far an import of yours is."""
    return ImportView.of(await imports.one(import_id, by=caller))


@router.get(
    "/{import_id}/rows",
    response_class=Response,
    responses={
        200: {
            "description": "A line for each fault (`line`, `pointer`, `detail`), or for each row (`line`, `id`).",
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        },
        **documented(*_ALWAYS, NotFound),
    },
)
async def read_rows(
    import_id: Identifier, caller: CanImport, imports: ImportsDep, status: RowStatus = "rejected"
) -> Response:
    """Read what is wrong with the rejected rows, or what the made ones have become, in the order of their lines.

    `pointer` is that of the member in its row. No line repeats what the row says.
    """
    found = await imports.one(import_id, by=caller)
    rows = imports.rejected(found.id) if status == "rejected" else imports.made(found.id)
    return StreamedFile(
        rows, headers={}, media_type="application/x-ndjson", file_name=f"{found.id}-{status}.ndjson"
    )


def _format(request: Request) -> FileFormat:
    media_type, charset = declared_type(request)
    declared = _FORMATS.get(media_type)
    if declared is None or charset not in UTF_8:
        raise UnsupportedMediaType(f"Send the file as {' or '.join(_FORMATS)}, in UTF-8.")
    return declared


def _is_gzipped(request: Request) -> bool:
    encoding = content_encoding(request)
    if encoding not in {IDENTITY, "gzip"}:
        raise UnsupportedMediaType("Send the file as it is, or packed with gzip.")
    return encoding == "gzip"
