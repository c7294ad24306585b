"""The use cases of documents: add, list, read, download."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from services.chassis.objects.interface import NoSuchObject, ObjectDamaged, Objects
from services.chassis.telemetry.logging import get_logger
from services.chassis.web.identity import Caller
from services.chassis.web.problems import Problem
from services.intake.documents.content import Content
from services.intake.documents.domain import (
    FOLDER,
    MOST_DOCUMENTS,
    UNSCANNED,
    Document,
    DocumentKind,
    Scan,
    ScanState,
    takes_documents,
)
from services.intake.documents.errors import (
    DocumentLost,
    DocumentNotClean,
    DocumentsNotTaken,
    NoDocumentStore,
    NoSuchDocument,
    TooManyDocuments,
)
from services.intake.documents.metrics import DOCUMENTS
from services.intake.documents.repository import DocumentRepository
from services.intake.errors import NotTheMaker
from services.intake.idempotency import Answers, IdempotentRequest, Made
from services.intake.stored.removal import discard
from services.lake.database import Lake, LakeReader
from services.lake.errors import NoSuchApplication

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Upload:
    """What a client says of the document that it sends: `media_type` is one of `content.TYPES`."""

    kind: DocumentKind
    file_name: str
    media_type: str


class Documents:
    """The use cases of documents over one lake and one store of objects."""

    def __init__(
        self,
        lake: Lake,
        repository: DocumentRepository,
        answers: Answers,
        objects: Objects | None,
        *,
        max_bytes: int,
        scanner: str = UNSCANNED,
        added: Callable[[], None] = lambda: None,
    ) -> None:
        """Store the dependencies of the use cases.

        Args:
            lake: where the documents' rows are.
            repository: the SQL of documents.
            answers: the answers to earlier requests.
            objects: where their contents are; without it every use is answered with 503.
            max_bytes: the limit of a document's size.
            scanner: the name of the scanner that looks at new documents.
            added: called after a document was added, so that it is scanned soon.
        """
        self._lake = lake
        self._repository = repository
        self._answers = answers
        self._objects = objects
        self._scanner = scanner
        self._added = added
        self.max_bytes = max_bytes

    async def add(
        self,
        application_id: UUID,
        upload: Upload,
        content: AsyncIterator[bytes],
        *,
        by: Caller,
        key: str,
    ) -> Made[Document]:
        """Add a document to the caller's application, unless the request with this `key` did before.

        The object is stored before its row: what a killed process leaves has no row, and is swept.

        Raises NoDocumentStore, NoSuchApplication, NotTheMaker, DocumentsNotTaken, TooManyDocuments, TypeRefused,
        ContentTooLarge, DocumentEmpty, RequestInFlight, IdempotencyKeyReused, AnswerDeleted, DocumentsBusy.
        """
        store = self._store()
        async with self._lake.reading() as reader:
            # Only the content says whether it is the same request.
            is_repeated = await self._answers.has(reader, by.id, key)
            await self._check(reader, application_id, by, is_repeated=is_repeated)
        document_id, passed = uuid7(), Content(upload.media_type, self.max_bytes)
        place = FOLDER.key(document_id)
        await store.put(place, passed.checked(content))
        try:
            async with self._lake.transaction(actor=str(by.id)) as tx:
                said = f"document {application_id} {upload.kind} {upload.media_type} {upload.file_name}"
                digest = hashlib.sha256(said.encode() + passed.sha256).digest()
                request = IdempotentRequest(key, digest)
                if earlier := await self._answers.earlier(tx, by.id, request):
                    made = earlier.shows(await self._repository.document(tx, earlier.made_id, by))
                else:
                    # Of two uploads at once, the second waits here, and sees the document of the first.
                    await self._repository.lock(tx, application_id)
                    await self._check(tx, application_id, by)
                    at = datetime.now(UTC)
                    document = Document(
                        id=document_id,
                        application_id=application_id,
                        kind=upload.kind,
                        file_name=upload.file_name,
                        media_type=upload.media_type,
                        size_bytes=passed.size,
                        sha256=passed.sha256,
                        object_key=place,
                        uploaded_by=by.id,
                        uploaded_at=at,
                        scan=Scan.due(self._scanner, at),
                    )
                    await self._repository.add(tx, document)
                    made = await self._answers.keep(tx, by.id, request, document, at)
        except Problem:
            # Whatever else ends the transaction may have come after its commit: then the object has a row. If it has
            # none, it is swept.
            await discard(store, place)
            raise
        if made.replayed:
            await discard(store, place)
        else:
            DOCUMENTS.labels(ScanState.CLEAN if self._scanner == UNSCANNED else ScanState.WAITING).inc()
            self._added()
        return made

    async def of_application(self, application_id: UUID, *, by: Caller) -> list[Document]:
        """The documents of an application, the oldest first; raises NoSuchApplication."""
        async with self._lake.reading() as reader:
            if await self._repository.place(reader, application_id, by) is None:
                raise NoSuchApplication(application_id)
            return await self._repository.of_application(reader, application_id, by)

    async def document(self, document_id: UUID, *, by: Caller) -> Document:
        """The document as the caller sees it; raises NoSuchDocument."""
        async with self._lake.reading() as reader:
            found = await self._repository.document(reader, document_id, by)
        if found is None:
            raise NoSuchDocument(document_id)
        return found

    async def content(self, document_id: UUID, *, by: Caller) -> tuple[Document, AsyncGenerator[bytes]]:
        """A document and its content, whose beginning has been read.

        Raises NoDocumentStore, NoSuchDocument, DocumentNotClean, DocumentLost.
        """
        store = self._store()
        async with self._lake.reading() as reader:
            found = await self._repository.in_clear(reader, document_id, by)
        if found is None:
            raise NoSuchDocument(document_id)
        if found.scan.state is not ScanState.CLEAN:
            raise DocumentNotClean(found)
        pieces = _begun(store.get(found.object_key))
        try:
            await anext(pieces)
        except (NoSuchObject, ObjectDamaged) as error:
            _log.error("a document cannot be read", document=str(document_id), error=type(error).__name__)
            raise DocumentLost("Its content was lost or changed; the error was logged.") from None
        return found, pieces

    def _store(self) -> Objects:
        if self._objects is None:
            raise NoDocumentStore("This installation has no store of documents.", retry_after=3600)
        return self._objects

    async def _check(
        self, reader: LakeReader, application_id: UUID, by: Caller, *, is_repeated: bool = False
    ) -> None:
        place = await self._repository.place(reader, application_id, by)
        if place is None:
            raise NoSuchApplication(application_id)
        if place.created_by != by.id:
            raise NotTheMaker
        if is_repeated:
            return
        if not takes_documents(place.state):
            raise DocumentsNotTaken(f"An application that is {place.state} takes no more documents.")
        if place.documents >= MOST_DOCUMENTS:
            raise TooManyDocuments


async def _begun(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield nothing first, when the first piece has been read, then all pieces."""
    try:
        first = await anext(pieces, b"")
        yield b""
        yield first
        async for piece in pieces:
            yield piece
    finally:
        await pieces.aclose()
