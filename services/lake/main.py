"""One-shot commands of the lake: `migrate` and `seed-samples`."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from services.chassis.migrations import upgrade
from services.chassis.settings import load_settings
from services.lake.database import Lake
from services.lake.journal.inspection import inspect, triggers
from services.lake.samples.reference import missing_rows
from services.lake.samples.seed import seed_samples
from services.lake.settings import LakeSettings
from services.lake.tables import approval_band, product, servicing_band

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_SCHEMA = "journal"


async def add_reference_data(lake: Lake) -> int:
    """Add the products and bands that are missing; returns how many."""
    async with lake.transaction(actor="migration") as tx:
        products = {row.code for row in await tx.execute(sa.select(product.c.code))}
        bands = {
            (row.band, row.stage_order)
            for row in await tx.execute(sa.select(approval_band.c.band, approval_band.c.stage_order))
        }
        servicing = {
            (row.band, row.role)
            for row in await tx.execute(sa.select(servicing_band.c.band, servicing_band.c.role))
        }
        inserts = missing_rows(products, bands, servicing)
        for insert in inserts:
            await tx.execute(insert)
    return len(inserts)


class CaptureUnsound(Exception):
    """The lake's tables do not meet the requirements of capture."""


async def check_capture(lake: Lake, reviewed: str) -> None:
    """Compare the catalogue with the captured definitions; `reviewed` is the setting REVIEWED_TRIGGERS.

    Raises:
        CaptureUnsound: the message names every faulty table, foreign key and trigger.
    """
    findings = await inspect(lake, triggers(reviewed))
    faults = [*findings.refused, *(f"{table}: {reason}" for table, reason in findings.stopped.items())]
    if faults:
        raise CaptureUnsound("; ".join(faults))


async def _with_lake(settings: LakeSettings, command: str) -> str:
    url = settings.lake_url.get_secret_value()
    lake = Lake.open(url, service=f"lake-{command}", pool_size=2)
    try:
        if command == "migrate":
            added = await add_reference_data(lake)
            await check_capture(lake, settings.reviewed_triggers)
            return f"lake: schema is up to date, {added} reference rows added"
        return f"lake: {await seed_samples(lake)} sample applications added"
    finally:
        await lake.dispose()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command against LAKE_URL and print its result."""
    parser = argparse.ArgumentParser(prog="services.lake.main", description=__doc__)
    parser.add_argument("command", choices=("migrate", "seed-samples"))
    command = parser.parse_args(arguments).command
    settings = load_settings(LakeSettings)
    if command == "migrate":
        upgrade(MIGRATIONS, settings.lake_url.get_secret_value(), version_table_schema=VERSION_SCHEMA)
    try:
        print(asyncio.run(_with_lake(settings, command)))
    except CaptureUnsound as error:
        raise SystemExit(f"lake: capture cannot be trusted: {error}") from None


if __name__ == "__main__":
    main()
