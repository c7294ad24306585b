"""The running platform, with Airflow beside it for the tests of the warehouse, or a browser before its dashboard."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

from services.platform.account import is_root
from services.platform.components.mesh import passwords
from services.platform.errors import NotAvailableError
from services.platform.platform import Platform
from tests.e2e.browsing import Desk
from tests.e2e.chromium import FLAGS, chromium

# A source that nobody answers for. Its last time was New Year, so Airflow tries it as soon as it reads the file.
UNREACHABLE = """
name: unreachable
layer: dl
description: A source that is down.
connector: http
schedule: {cron: "0 0 1 1 *"}
freshness_minutes: 1
retries: 0
timeout_minutes: 5
source:
  url: http://127.0.0.1:9/
  attempts: 1
  pages: {kind: next_link}
targets:
  - {source: nothing, table: nothing, keys: [id], columns: [id]}
"""
PROCESSES = ("airflow-dag-processor", "airflow-scheduler", "airflow-api")


@dataclass(frozen=True, slots=True)
class Warehouse:
    """The platform with Airflow, and the failures that it has posted."""

    platform: Platform
    alerts: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="package")
async def warehouse(
    running_platform: Platform, prometheus: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Warehouse]:
    """Airflow over the session's platform, with the repository's flows and one that must fail."""
    del prometheus
    flows = tmp_path_factory.mktemp("flows")
    shutil.copytree(running_platform.settings.flows, flows, dirs_exist_ok=True)
    (flows / "unreachable.yaml").write_text(UNREACHABLE)
    # The clock starts the flows once, at the beginning, and not again while the tests look at what their own run did.
    lake = flows / "lake.yaml"
    scheduled = lake.read_text().replace(
        'cron: "*/15 * * * *"', f'cron: "{(datetime.now(UTC) - timedelta(minutes=5)).minute} * * * *"'
    )
    assert scheduled != lake.read_text()
    lake.write_text(scheduled)
    alerts: list[dict[str, Any]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            alerts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = running_platform.settings.model_copy(
        update={
            "airflow": True,
            "flows": Path(flows),
            "alert_webhook": f"http://127.0.0.1:{server.server_port}/",
        }
    )
    platform = Platform(settings)
    await platform.up()
    yield Warehouse(platform, alerts)
    for name in PROCESSES:
        await asyncio.to_thread(platform.supervisor.stop, name)
    server.shutdown()
    server.server_close()


@pytest.fixture
async def desk(running_platform: Platform) -> AsyncIterator[Desk]:
    """The running dashboard; fails where there is no browser and none can be fetched."""
    settings = running_platform.settings
    try:
        program, environment = await asyncio.to_thread(chromium, settings.tools.resolve())
    except NotAvailableError as error:
        pytest.fail(f"{error}; BROWSER=off leaves these tests out")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program,
            args=[*FLAGS, *(["--no-sandbox"] if is_root() else [])],
            env={**os.environ, **environment},
        )
        yield Desk(browser, settings.http("dashboard"), passwords(running_platform.home))
        await browser.close()
