"""A process built on the chassis: `serve` runs an API, `work` runs a task beside the operations server."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.chassis.loop import run
from services.chassis.settings import ServiceSettings, load_settings
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web.app import create_app, run_with_operations, serve
from services.chassis.web.input.body_limit import bounded_router

router = bounded_router()


@router.get("/slow")
async def slow() -> str:
    await asyncio.sleep(0.2)
    return "done"


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    print("opened", flush=True)
    yield
    print("closed", flush=True)


async def work(stop: asyncio.Event) -> None:
    print("working", flush=True)
    await stop.wait()
    print("finished", flush=True)


async def fail(stop: asyncio.Event) -> None:
    await asyncio.sleep(0.1)
    raise RuntimeError(f"the work failed, stop is {stop.is_set()}")


def main(mode: str) -> None:
    settings = load_settings(ServiceSettings)
    telemetry = Telemetry.start("example")
    app = create_app(
        service="example",
        title="Example",
        summary="A process for tests.",
        settings=settings,
        telemetry=telemetry,
        routers=[router] if mode == "serve" else [],
        lifespan=lifespan,
    )
    if mode == "serve":
        serve(app, settings)
    else:
        sys.exit(run(run_with_operations(app, settings, work if mode == "work" else fail)))


if __name__ == "__main__":
    main(sys.argv[1])
