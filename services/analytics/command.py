"""The command `publish`."""

import sys

import orjson
import sqlalchemy as sa
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind

from services.analytics.errors import NotPublished
from services.analytics.publication import Published, publish
from services.analytics.settings import PublicationSettings
from services.analytics.warehouse import Warehouse
from services.chassis import loop
from services.chassis.error_names import error_name
from services.chassis.settings import load_settings
from services.chassis.telemetry.spans import Telemetry, current_traceparent

SERVICE = "analytics"
REFUSED = 1
"""Exit status when nothing was published."""


def run() -> None:
    """Publish, and print one line of JSON; status 1 and the reason on stderr when nothing was published."""
    settings = load_settings(PublicationSettings)
    telemetry = Telemetry.start(SERVICE)

    async def published() -> tuple[Published, str | None]:
        warehouse = Warehouse.open(settings.warehouse_url.get_secret_value(), service=SERVICE, pool_size=1)
        try:
            with telemetry.tracer.start_as_current_span(
                "publish build",
                context=extract({"traceparent": settings.traceparent or ""}),
                kind=SpanKind.INTERNAL,
            ) as span:
                traceparent = current_traceparent()
                done = await publish(warehouse, traceparent=traceparent)
                span.set_attribute("creditmesh.build_id", done.build_id)
                return done, traceparent
        finally:
            await warehouse.dispose()

    try:
        done, traceparent = loop.run(published())
    except NotPublished as refusal:
        print(f"analytics: nothing was published: {refusal}", file=sys.stderr)
        raise SystemExit(REFUSED) from None
    except (OSError, TimeoutError, sa.exc.SQLAlchemyError) as error:
        print(
            f"analytics: nothing was published: the warehouse failed ({error_name(error)}). "
            "Is WAREHOUSE_URL right, and is the warehouse up?",
            file=sys.stderr,
        )
        raise SystemExit(REFUSED) from None
    finally:
        telemetry.shutdown()
    report = {
        "build_id": done.build_id,
        "invocation_id": done.invocation_id,
        "as_of_date": done.as_of_date,
        "rows": dict(done.rows),
        "removed": done.removed,
        "traceparent": traceparent,
    }
    print(orjson.dumps(report).decode())
