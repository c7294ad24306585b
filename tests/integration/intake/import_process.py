"""A process of its own that writes the rows of imports, for tests that kill it: `python -m … LAKE FOLDER LEASE`."""

import asyncio
import sys
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from services.chassis.objects.opening import open_objects
from services.chassis.telemetry.spans import Telemetry
from services.intake.documents.repository import DocumentRepository
from services.intake.idempotency import Answers
from services.intake.imports.repository import ImportRepository
from services.intake.imports.worker import ImportWorker
from services.intake.imports.writing import RowWriter
from services.intake.parties.national_ids import NationalIds
from services.intake.parties.repository import PartyRepository
from services.intake.parties.tags import PersonTags, TagKeys
from services.intake.repository import IntakeRepository
from services.intake.service import Intake
from services.intake.servicing.repository import ServicingRepository
from services.intake.servicing.service import Servicing
from services.lake.database import Lake
from tests.integration.lending import OBJECT_KEY, TAG_KEY


def worker_over(lake: Lake, folder: str, lease: timedelta) -> ImportWorker:
    """A worker over a lake and the folder of its objects."""
    zone = ZoneInfo("UTC")
    intake = Intake(
        lake,
        IntakeRepository(),
        PartyRepository(),
        NationalIds(),
        PersonTags(TagKeys(TAG_KEY)),
        documents=DocumentRepository(),
        zone=zone,
    )
    servicing = Servicing(
        lake,
        ServicingRepository(),
        Answers(),
        zone=zone,
        lock_wait_seconds=1,
        overpayment_tolerance=Decimal(0),
    )
    repository = ImportRepository()
    writer = RowWriter(repository, intake, servicing)
    return ImportWorker(lake, repository, open_objects(folder, OBJECT_KEY), writer, lease=lease)


async def main(url: str, folder: str, lease: float) -> None:
    """Write until killed."""
    Telemetry.start("intake")
    lake = Lake.open(url, service="test", pool_size=2)
    worker = worker_over(lake, folder, timedelta(seconds=lease))
    while True:
        await worker.run_due()
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
