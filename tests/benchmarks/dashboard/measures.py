"""What `make bench-dashboard` measures: pages and rows over a large warehouse, alone and with many readers."""

from __future__ import annotations

import itertools
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode

import asyncpg
import httpx
import psutil

from services.analytics.catalogue.model import WHOLE, read_catalogue
from services.analytics.domain import FILTERS, PAGES, first_day_shown
from services.analytics.tables import COPIED
from services.platform.components.mesh import passwords
from services.platform.platform import Platform
from tests.benchmarks.api.load import Connection, drive, request
from tests.benchmarks.commands import timed
from tests.conftest import Database
from tests.integration.dashboard.conftest import Browser, request_for

CATALOGUE = read_catalogue()
CURRENCY = "DEM"
SESSIONS = 50
READER = "committee1"
JSON = {"content-type": "application/json", "sec-fetch-site": "same-origin"}
MOST_DAYS = 30
"""Days whose pages are asked for: each is another answer."""

Address = tuple[str, str]
"""A page and a day."""


class Bench:
    """One platform with a published warehouse, measured several times."""

    def __init__(self, platform: Platform, warehouse: Database, seconds: float) -> None:
        """`seconds`: how long each load lasts."""
        self.platform, self.warehouse, self.seconds = platform, warehouse, seconds
        self._number = 0

    def url(self, service: str) -> str:
        """Where a service listens."""
        return self.platform.settings.http(service)

    async def publish(self) -> dict[str, float]:
        """Publish the same numbers as another build, so that nothing of it was asked for yet; milliseconds."""
        self._number += 1
        async with self.warehouse.connect() as owner:
            await owner.execute("UPDATE build.run SET invocation_id = $1", f"build {self._number}")
            await owner.execute("CHECKPOINT")
        seconds, found = await timed(
            *(sys.executable, "-m", "services.analytics.main", "publish"),
            WAREHOUSE_URL=self.warehouse.url("transformer"),
        )
        return {"command_ms": round(seconds * 1000), "rows": sum(found["rows"].values())}

    async def pages(self) -> dict[str, Any]:
        """Milliseconds of a page's data at first and repeated; of its statements alone; of the page by the gate."""
        token = await self._token()
        days = await self._days(token)
        addresses = [(page, day) for day in days for page in PAGES]
        connection = await Connection.open(self.url("analytics"))

        def get(address: Address) -> bytes:
            page, day = address
            query = urlencode({"currency": CURRENCY, "as_of": day})
            return request("GET", f"/pages/{page}?{query}", {"authorization": f"Bearer {token}"})

        # Half of the days for analytics alone, the other half for the whole way.
        ours, gates = addresses[::2], addresses[1::2]
        first = [await _taken(connection, get(one)) for one in ours]
        again = [await _taken(connection, get(one)) for one in ours]
        connection.close()
        call = await self._caller()
        connection = await Connection.open(self.url("dashboard"))
        gate_first = [await _taken(connection, call(one), shows=b"figure-") for one in gates]
        gate_again = [await _taken(connection, call(one), shows=b"figure-") for one in gates]
        connection.close()
        alone = await self._statements(ours)
        return {
            "first": _spread(first),
            "repeated": _spread(again),
            "statements alone": _spread(alone),
            "by the gate first": _spread(gate_first),
            "by the gate repeated": _spread(gate_again),
            "ratio": round(statistics.median(first) / statistics.median(alone), 2),
        }

    async def rows(self) -> dict[str, Any]:
        """Milliseconds of the first page of rows behind each part of each KPI."""
        token = await self._token()
        headers = {"authorization": f"Bearer {token}"}
        taken: dict[str, float] = {}
        connection = await Connection.open(self.url("analytics"))
        for kpi in CATALOGUE.kpis.values():
            query = urlencode({"currency": CURRENCY})
            answer = await connection.send(request("GET", f"/kpis/{kpi.id}/values?{query}", headers))
            points = [point for point in json.loads(answer)["points"] if point["value"] is not None]
            if not points:
                continue
            point = max(points, key=lambda one: (one["as_of_date"], one["member"] in {None, WHOLE}))
            period = point["period_start"] or point["cohort_month"] or point["as_of_date"]
            asked = {name: point[name] for name in FILTERS if point.get(name) is not None}
            asked |= {"as_of": point["as_of_date"], "from": period, "to": period}
            for part in kpi.parts:
                query = urlencode({**asked, "part": part})
                taken[f"{kpi.id}, {part}"] = await _taken(
                    connection, request("GET", f"/kpis/{kpi.id}/rows?{query}", headers)
                )
        connection.close()
        slowest = sorted(taken, key=taken.__getitem__, reverse=True)[:3]
        return {
            **_spread(taken.values()),
            "parts": len(taken),
            "slowest": "; ".join(f"{name} {taken[name]:.0f} ms" for name in slowest),
        }

    async def readers(self) -> dict[str, Any]:
        """Pages a second by SESSIONS sessions at once, and what analytics and the dashboard hold then."""
        days = await self._days(await self._token())
        calls = [await self._caller() for _ in range(SESSIONS)]
        chance = random.Random(1)
        addresses = [(page, day) for day in days for page in PAGES]
        turns = itertools.cycle(calls)
        load = await drive(
            self.url("dashboard"),
            lambda: next(turns)(chance.choice(addresses)),
            connections=SESSIONS,
            seconds=self.seconds,
        )
        return {**load.as_json(), "memory_mib": self.memory()}

    def memory(self) -> dict[str, int]:
        """Resident memory of the processes, in MiB."""
        running = self.platform.supervisor.all()
        return {
            name: round(psutil.Process(running[name].pid).memory_info().rss / 2**20)
            for name in ("analytics", "dashboard", "auth")
        }

    async def _token(self) -> str:
        async with httpx.AsyncClient(base_url=self.url("auth")) as client:
            form = {"grant_type": "password", "username": READER, "password": self._password()}
            answer = await client.post("/token", data=form)
            answer.raise_for_status()
            return str(answer.json()["access_token"])

    def _password(self) -> str:
        return passwords(self.platform.home)[READER]

    async def _days(self, token: str) -> Sequence[str]:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=self.url("analytics"), headers=headers) as client:
            answer = await client.get("/as-of")
            answer.raise_for_status()
            return sorted({one["day"] for one in answer.json()["days"]}, reverse=True)[:MOST_DAYS]

    async def _caller(self) -> Callable[[Address], bytes]:
        """Log in; gives the request with which that session's browser draws a page."""
        async with httpx.AsyncClient(base_url=self.url("dashboard"), timeout=60) as client:
            browser = Browser(client)
            answer = await browser.log_in(READER, self._password())
            assert answer.status_code == 303, answer.text
            cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            known = (await client.get("/_dash-dependencies")).json()
        callback = next(one for one in known if "page.children" in one["output"])
        body = request_for(callback["output"], callback)

        def call(address: Address) -> bytes:
            page, day = address
            body["inputs"][0]["value"] = f"/{page}"
            body["state"][0]["value"] = "?" + urlencode({"as_of": day, "currency": CURRENCY})
            sent = json.dumps(body).encode()
            return request("POST", "/_dash-update-component", {**JSON, "cookie": cookie}, sent)

        return call

    async def _statements(self, addresses: Iterable[Address]) -> list[float]:
        """Milliseconds of what a page reads, straight from the database, by the fastest client there is."""
        taken = []
        async with self.warehouse.connect("reporting") as connection:
            for page, day in addresses:
                began = time.perf_counter()
                for kpi in PAGES[page]:
                    await _select(connection, kpi, day)
                taken.append((time.perf_counter() - began) * 1000)
        return taken


async def _select(connection: asyncpg.Connection[asyncpg.Record], kpi: str, day: str) -> None:
    source = CATALOGUE.kpis[kpi].source
    table = next(table for table in COPIED if f"ap.{table.name}" == source.table)
    period = next(name for name in ("period_start", "cohort_month", "as_of_date") if name in table.c)
    narrow = f"AND kpi = '{kpi}'" if "kpi" in table.c else ""
    await connection.fetch(
        f"SELECT * FROM serving.{table.name} WHERE build_id = (SELECT max(build_id) FROM serving.build) "
        f"AND currency = $1 AND {period} BETWEEN $2 AND $3 {narrow}",
        CURRENCY,
        first_day_shown(date.fromisoformat(day)),
        date.fromisoformat(day),
    )


async def _taken(connection: Connection, sent: bytes, shows: bytes = b"") -> float:
    """Milliseconds until the answer, which must have `shows` in it."""
    began = time.perf_counter()
    body = await connection.send(sent)
    taken = (time.perf_counter() - began) * 1000
    if shows not in body:
        raise SystemExit(f"the page shows no figures: {body[:800].decode()}")
    return taken


def _spread(taken: Iterable[float]) -> Mapping[str, float]:
    known = sorted(taken)
    cuts = statistics.quantiles(known, n=100)
    return {"p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1), "most_ms": round(known[-1], 1)}
