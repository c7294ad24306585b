"""The command `expire`: a person or Airflow runs it; its last line is one line of JSON."""

import argparse
import re
from datetime import timedelta

import orjson
from opentelemetry import context
from sqlalchemy.exc import SQLAlchemyError

from services.approval.expiry.repository import ExpiryRepository
from services.approval.expiry.service import Expired, Expiry
from services.approval.repository import ApprovalRepository
from services.approval.settings import ExpirySettings
from services.chassis import loop
from services.chassis.settings import load_settings
from services.chassis.telemetry.spans import Telemetry, parent_from
from services.lake.database import Lake

_DAYS = re.compile(r"([1-9][0-9]{0,3})d")


def days(text: str) -> timedelta:
    """Read a number of days such as `90d`; raises argparse.ArgumentTypeError."""
    found = _DAYS.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError("give a number of days from 1d to 9999d, such as 90d")
    return timedelta(days=int(found[1]))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--older-than", type=days, required=True, metavar="DAYS", help="days without any change, such as 90d"
    )
    parser.add_argument("--dry-run", action="store_true", help="only find them")


def run(options: argparse.Namespace) -> None:
    """Expire applications in the lake at LAKE_URL and print what was done."""
    settings = load_settings(ExpirySettings)
    telemetry = Telemetry.start("approval")
    token = context.attach(parent_from(settings.traceparent))
    try:
        done = loop.run(_expire(settings, options.older_than, dry_run=options.dry_run))
    except (SQLAlchemyError, OSError) as error:
        # What is expired stays expired; the next run finds the others.
        raise SystemExit(f"approval: the lake cannot be used: {type(error).__name__}") from None
    finally:
        context.detach(token)
        telemetry.shutdown()
    print(orjson.dumps(report(done, options.older_than, dry_run=options.dry_run)).decode())


def report(done: Expired, older_than: timedelta, *, dry_run: bool) -> dict[str, object]:
    """What the command prints."""
    return {
        "older_than_days": older_than.days,
        "dry_run": dry_run,
        "found": dict(sorted(done.found.items())),
        "expired": dict(sorted(done.expired.items())),
        "changed_meanwhile": 0 if dry_run else done.changed,
    }


async def _expire(settings: ExpirySettings, older_than: timedelta, *, dry_run: bool) -> Expired:
    lake = Lake.open(settings.lake_url.get_secret_value(), service="approval-expire", pool_size=1)
    try:
        expiry = Expiry(lake, ApprovalRepository(), ExpiryRepository())
        return await expiry.expire(older_than, dry_run=dry_run)
    finally:
        await lake.dispose()
