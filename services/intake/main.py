"""Intake's process: `serve` answers its HTTP API."""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.chassis.objects.interface import Objects
from services.chassis.settings import load_settings
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web.app import create_app, serve
from services.chassis.web.health import Check
from services.chassis.web.identity import TokenVerifier
from services.chassis.web.input.body_limit import LARGEST_BODY_BYTES
from services.intake.bureau.adapters import Bureau, HttpBureau, SimulatedBureau
from services.intake.bureau.repository import BureauRepository
from services.intake.bureau.service import Asking
from services.intake.bureau.worker import BureauWorker
from services.intake.documents.domain import UNSCANNED
from services.intake.documents.repository import DocumentRepository
from services.intake.documents.routes import router as documents
from services.intake.documents.scanners import open_scanner
from services.intake.documents.service import Documents
from services.intake.documents.worker import DocumentWorker
from services.intake.idempotency import Answers
from services.intake.imports.repository import ImportRepository
from services.intake.imports.routes import router as imports
from services.intake.imports.service import Imports
from services.intake.imports.worker import ImportWorker
from services.intake.imports.writing import RowWriter
from services.intake.lists.repository import ListRepository
from services.intake.lists.routes import router as lists
from services.intake.lists.service import Lists
from services.intake.messages.consumer import MessageConsumer, open_source
from services.intake.messages.repository import RejectedRepository
from services.intake.messages.routes import router as messages
from services.intake.messages.service import Messages, RejectedRecords
from services.intake.parties.national_ids import NationalIds
from services.intake.parties.repository import PartyRepository
from services.intake.parties.tags import PersonTags
from services.intake.proposals.repository import ProposalRepository
from services.intake.proposals.routes import router as proposals
from services.intake.proposals.service import Proposals, Rules
from services.intake.repository import IntakeRepository
from services.intake.routes import router
from services.intake.service import Intake
from services.intake.servicing.repository import ServicingRepository
from services.intake.servicing.routes import router as servicing
from services.intake.servicing.service import Servicing
from services.intake.settings import IntakeSettings
from services.lake.database import Lake
from services.lake.domain.roles import scopes_of_people

SERVICE = "intake"


def build(settings: IntakeSettings, telemetry: Telemetry, verifier: TokenVerifier | None = None) -> FastAPI:
    """Compose intake's application; `verifier` by default trusts the keys at `auth_jwks_url`."""
    lake = Lake.open(settings.lake_url.get_secret_value(), service=SERVICE, pool_size=settings.lake_pool_size)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        repository, filed = IntakeRepository(), DocumentRepository()
        national_ids, tags = NationalIds(), PersonTags(settings.tag_keys)
        bureau, asked = open_bureau(settings), BureauRepository()
        inquirer = None if bureau is None else BureauWorker(lake, asked, bureau)
        app.state.intake = Intake(
            lake,
            repository,
            PartyRepository(),
            national_ids,
            tags,
            documents=filed,
            zone=settings.business_time_zone,
            asking=None if bureau is None or inquirer is None else Asking(asked, bureau.name, inquirer.wake),
        )
        app.state.lists = Lists(lake, ListRepository())
        loans, answers = ServicingRepository(), Answers()
        app.state.servicing = Servicing(
            lake,
            loans,
            answers,
            zone=settings.business_time_zone,
            lock_wait_seconds=settings.loan_lock_wait_seconds,
            overpayment_tolerance=settings.overpayment_tolerance,
        )
        app.state.proposals = Proposals(
            lake,
            ProposalRepository(),
            loans,
            answers,
            Rules(
                settings.business_time_zone,
                settings.loan_lock_wait_seconds,
                settings.overpayment_tolerance,
            ),
        )
        filling = asyncio.create_task(national_ids.keep_filled(lake), name="national-ids")
        working = [
            filling,
            asyncio.create_task(tags.keep_filled(lake), name="person-tags"),
            asyncio.create_task(answers.keep_recent(lake), name="kept-answers"),
        ]
        objects, scanner = settings.objects, open_scanner(settings.document_scanner)
        worker = None if objects is None else DocumentWorker(lake, filed, objects, scanner)
        app.state.documents = Documents(
            lake,
            filed,
            answers,
            objects,
            max_bytes=settings.max_document_bytes,
            scanner=scanner.name if scanner else UNSCANNED,
            added=worker.wake if worker else lambda: None,
        )
        if worker is not None:
            working.append(asyncio.create_task(worker.keep(), name="documents"))
        app.state.imports = open_imports(
            app, lake, answers, objects, working, max_bytes=settings.max_import_bytes
        )
        app.state.rejected_records = open_messages(app, lake, settings, telemetry, working)
        if inquirer is not None:
            working.append(asyncio.create_task(inquirer.keep(), name="bureau"))
        yield
        for task in working:
            task.cancel()
        # One that has failed must not keep the connections open.
        await asyncio.gather(*working, return_exceptions=True)
        if bureau is not None:
            await bureau.aclose()
        await lake.dispose()

    return create_app(
        service=SERVICE,
        title="Intake",
        summary="Parties and credit applications: draft, submit, withdraw. What is paid back under loans, and what two "
        "people do to them.",
        settings=settings,
        telemetry=telemetry,
        routers=[router, lists, documents, imports, messages, servicing, proposals],
        checks=[Check("lake", lake.ping)],
        lifespan=lifespan,
        verifier=verifier,
        scopes_of=scopes_of_people,
        # Documents and imports count for themselves; this is for what ignores their limit.
        max_body_bytes=LARGEST_BODY_BYTES + max(settings.max_document_bytes, settings.max_import_bytes),
    )


def open_imports(
    app: FastAPI,
    lake: Lake,
    answers: Answers,
    objects: Objects | None,
    working: list[asyncio.Task[None]],
    *,
    max_bytes: int,
) -> Imports:
    """The use cases of imports, and among `working` the worker that writes their rows where there is a store."""
    repository = ImportRepository()
    if objects is None:
        return Imports(lake, repository, answers, None, max_bytes=max_bytes)
    writer = RowWriter(repository, app.state.intake, app.state.servicing)
    worker = ImportWorker(lake, repository, objects, writer)
    working.append(asyncio.create_task(worker.keep(), name="imports"))
    return Imports(lake, repository, answers, objects, max_bytes=max_bytes, added=worker.wake)


def open_messages(
    app: FastAPI,
    lake: Lake,
    settings: IntakeSettings,
    telemetry: Telemetry,
    working: list[asyncio.Task[None]],
) -> RejectedRecords:
    """The use cases of rejected records, and among `working` what reads the topics of senders where there are any."""
    repository, keys, origins = RejectedRepository(), settings.object_keys, settings.origins
    rejected = RejectedRecords(lake, repository, keys)
    working.append(asyncio.create_task(rejected.keep_recent(), name="rejected-records"))
    if origins and keys is not None:
        writer = RowWriter(ImportRepository(), app.state.intake, app.state.servicing)
        consumer = MessageConsumer(
            Messages(lake, repository, writer, keys),
            origins,
            open_source(settings.kafka()),
            telemetry.tracer,
        )
        working.append(asyncio.create_task(consumer.keep(), name="messages"))
    return rejected


def open_bureau(settings: IntakeSettings) -> Bureau | None:
    """The credit bureau that the settings name."""
    if settings.bureau == "simulated" and settings.bureau_key is not None:
        return SimulatedBureau(settings.bureau_key.get_secret_value())
    if settings.bureau == "http" and settings.bureau_url is not None:
        token = settings.bureau_token.get_secret_value() if settings.bureau_token else None
        return HttpBureau(settings.bureau_url, token=token, seconds=settings.bureau_seconds)
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, `serve` by default."""
    parser = argparse.ArgumentParser(prog="services.intake.main", description=__doc__)
    parser.add_argument("command", choices=("serve",), nargs="?", default="serve")
    parser.parse_args(arguments)
    settings = load_settings(IntakeSettings)
    serve(build(settings, Telemetry.start(SERVICE)), settings)


if __name__ == "__main__":
    main()
