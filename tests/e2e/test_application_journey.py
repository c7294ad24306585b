"""The reader's walk: one application from the maker's click to search, under one trace id read from the store.

Every process is real and supervised; nothing is looked at but what a user, an operator or a DBA could look at.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from services.platform.components.mesh import passwords
from services.platform.platform import Platform
from tests.conftest import Database
from tests.e2e.conftest import Warehouse
from tests.e2e.warehouse_journey import through_the_warehouse

PATIENCE_SECONDS = 30.0
# Longer than the test may take: a scheduled run of the flows before its own makes it wait.
LOOKBACK_MILLISECONDS = 3_600_000
PROFILE = {
    "checking_account": "none",
    "credit_history": "paid_duly",
    "savings": "500_to_1000",
    "employment_since": "7_or_more",
    "installment_rate_percent_class": 2,
    "other_debtors": "none",
    "residence_since": 4,
    "property": "real_estate",
    "other_installment_plans": "none",
    "housing": "own",
    "existing_credits": 1,
    "job": "skilled",
    "dependants": 1,
    "telephone": True,
    "foreign_worker": False,
}


def creating(headers: dict[str, str]) -> dict[str, str]:
    """Headers of a request that creates something."""
    return {**headers, "Idempotency-Key": secrets.token_hex(8)}


async def eventually(found: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Ask again and again until there is an answer."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        answer = await found()
        if answer:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"within {PATIENCE_SECONDS:.0f} s there was no {what}")


class Journey:
    """What a browser would do: calls with a login and a trace of its own."""

    def __init__(self, platform: Platform, http: httpx.AsyncClient) -> None:
        self.platform = platform
        self.http = http
        self.trace_id = secrets.token_hex(16)
        self.click = secrets.token_hex(8)

    async def log_in(self, username: str) -> dict[str, str]:
        """Headers of a logged-in person within the journey's trace."""
        answer = await self.http.post(
            f"{self.platform.settings.http('auth')}/token",
            data={"username": username, "password": passwords(self.platform.home)[username]},
        )
        assert answer.status_code == 200, answer.text
        return {
            "Authorization": f"Bearer {answer.json()['access_token']}",
            "traceparent": f"00-{self.trace_id}-{self.click}-01",
        }

    async def call(
        self, method: str, service: str, path: str, headers: dict[str, str], status: int, **options: Any
    ) -> httpx.Response:
        """One call, which must answer with `status`."""
        answer = await self.http.request(
            method, self.platform.settings.http(service) + path, headers=headers, **options
        )
        assert answer.status_code == status, answer.text
        return answer

    async def spans(self) -> list[dict[str, Any]]:
        """The journey's trace as the store has it."""
        answer = await self.http.get(f"{self.platform.settings.http('zipkin')}/api/v2/trace/{self.trace_id}")
        return list(answer.json()) if answer.status_code == 200 else []

    async def span(self, service: str, name: str, **tags: str) -> dict[str, Any]:
        """A span of the trace, as soon as it is stored."""

        async def look() -> dict[str, Any] | None:
            for span in await self.spans():
                if (span["localEndpoint"]["serviceName"], span["name"]) == (service, name.lower()) and (
                    tags.items() <= span.get("tags", {}).items()
                ):
                    return span
            return None

        found: dict[str, Any] = await eventually(look, f"span {name!r} of {service} in trace {self.trace_id}")
        return found

    async def span_by_id(self, span_id: str) -> dict[str, Any]:
        """A span of the trace by its id, as soon as it is stored."""

        async def look() -> dict[str, Any] | None:
            return next((span for span in await self.spans() if span["id"] == span_id), None)

        found: dict[str, Any] = await eventually(look, f"span {span_id} in trace {self.trace_id}")
        return found

    async def ancestors(self, span: dict[str, Any]) -> list[str]:
        """Names of the spans above `span` in its trace, up to one that has none, once all are stored."""

        async def look() -> list[str] | None:
            answer = await self.http.get(
                f"{self.platform.settings.http('zipkin')}/api/v2/trace/{span['traceId']}"
            )
            by_id = {other["id"]: other for other in answer.json()}
            names, parent = [], span.get("parentId")
            while parent in by_id:
                names.append(by_id[parent]["name"])
                parent = by_id[parent].get("parentId")
            return names if parent is None else None

        found: list[str] = await eventually(look, f"root above span {span['id']}")
        return found

    async def linking(self, service: str, name: str, span: dict[str, Any]) -> dict[str, Any]:
        """A span of another trace that links to `span`."""
        link = f"{span['traceId']}-{span['id']}"

        async def look() -> dict[str, Any] | None:
            answer = await self.http.get(
                f"{self.platform.settings.http('zipkin')}/api/v2/traces",
                params={
                    "serviceName": service,
                    "spanName": name,
                    "limit": 500,
                    "lookback": LOOKBACK_MILLISECONDS,
                },
            )
            for trace in answer.json():
                for other in trace:
                    if link in [
                        value for key, value in other.get("tags", {}).items() if key.startswith("link.")
                    ]:
                        return dict(other)
            return None

        found: dict[str, Any] = await eventually(look, f"span {name!r} of {service} that links to {link}")
        return found


@pytest.fixture
async def journey(running_platform: Platform) -> AsyncIterator[Journey]:
    """A journey on the running platform."""
    async with httpx.AsyncClient(timeout=30) as http:
        yield Journey(running_platform, http)


@pytest.mark.timeout(1200)
async def test_one_application_from_the_click_to_search_and_through_the_warehouse(
    journey: Journey, warehouse: Warehouse
) -> None:
    maker = await journey.log_in("maker1")
    name = f"Journey {secrets.token_hex(6)} Nguyễn"
    party = (
        await journey.call(
            "POST",
            "intake",
            "/parties",
            creating(maker),
            201,
            json={"kind": "person", "full_name": name, "birth_date": "1986-04-01"},
        )
    ).json()
    body = {
        "product_code": "CONSUMER",
        "amount": "2500.00",
        "currency": "DEM",
        "term_months": 12,
        "purpose": "radio/television",
        "channel": "online",
        "parties": [{"party_id": party["id"], "role": "borrower"}],
        "profile": PROFILE,
    }
    submitted = await journey.call("POST", "intake", "/applications", creating(maker), 201, json=body)
    application_id = submitted.json()["id"]

    # Search reads the replica only: what it finds has come through journal, Kafka and sink.
    async def found() -> dict[str, Any] | None:
        answer = await journey.call("GET", "search", "/applications", maker, 200, params={"q": name.lower()})
        return next((item for item in answer.json()["items"] if item["id"] == application_id), None)

    assert (await eventually(found, "application in search"))["state"] == "SUBMITTED"

    officer = await journey.log_in("officer1")
    decided = await journey.call(
        "POST",
        "approval",
        f"/applications/{application_id}/decisions",
        {**officer, "If-Match": submitted.headers["ETag"]},
        200,
        json={"outcome": "approve"},
    )
    await journey.call(
        "POST",
        "approval",
        f"/applications/{application_id}/booking",
        {**officer, "If-Match": decided.headers["ETag"]},
        200,
    )

    async def booked() -> dict[str, Any] | None:
        answer = await journey.call("GET", "search", f"/applications/{application_id}", maker, 200)
        record: dict[str, Any] = answer.json()
        return record if record["application"]["state"] == "BOOKED" and record["loan"] else None

    record = await eventually(booked, "booked application in search")
    from_lake = (
        await journey.call(
            "GET", "search", f"/applications/{application_id}", maker, 200, params={"source": "lake"}
        )
    ).json()
    assert {k: v for k, v in record.items() if k != "source"} == {
        k: v for k, v in from_lake.items() if k != "source"
    }

    # The trace, as the store has it: click → intake → lake → Kafka → replica, and on to approval and search.
    server = await journey.span("intake", "POST /applications")
    assert server["parentId"] == journey.click
    lake = await journey.span("intake", "transaction lake", **{"db.namespace": "lake"})
    consumers = [
        await journey.span("replicator-sink", f"process lake.credit.{table}", **{"creditmesh.operation": "c"})
        for table in (
            "party",
            "application",
            "application_version",
            "application_party",
            "loan",
            "instalment",
        )
    ]
    for consumer in consumers:
        # Each process exports on its own: a child may be stored before its parent.
        producer = await journey.span_by_id(consumer["parentId"])
        assert (producer["kind"], producer["name"]) == ("PRODUCER", "transaction lake")
        assert consumer["kind"] == "CONSUMER"
        assert consumer["remoteEndpoint"]["serviceName"] == "kafka"
        await journey.linking("replicator-sink", "apply batch", consumer)
    await journey.linking("replicator-relay", "send lake", lake)
    await journey.span("approval", "POST /applications/{application_id}/decisions")
    await journey.span("search", "GET /applications")

    async def edges() -> bool:
        answer = await journey.http.get(
            f"{journey.platform.settings.http('zipkin')}/api/v2/dependencies",
            params={
                "endTs": int(time.time() * 1000),
                "lookback": 3_600_000,
            },
        )
        drawn = {(edge["parent"], edge["child"]) for edge in answer.json()}
        return {("replicator-relay", "kafka"), ("kafka", "replicator-sink")} <= drawn

    await eventually(edges, "Kafka edge in the dependency graph")
    await through_the_warehouse(warehouse.platform, journey, application_id, lake)


async def test_a_change_by_plain_sql_reaches_the_replica_with_a_trace_of_its_own(journey: Journey) -> None:
    maker = await journey.log_in("maker1")
    party = (
        await journey.call(
            "POST",
            "intake",
            "/parties",
            creating(maker),
            201,
            json={"kind": "person", "full_name": "Before the script"},
        )
    ).json()
    name = f"Corrected by a script {secrets.token_hex(4)}"
    async with Database(journey.platform, "lake").connect() as dba:
        await dba.execute(
            "UPDATE credit.party SET full_name = $1 WHERE id = $2::text::uuid", name, party["id"]
        )
        actor = await dba.fetchval(
            "SELECT actor FROM journal.change WHERE key = $1 ORDER BY position DESC LIMIT 1",
            f'["{party["id"]}"]',
        )
    assert actor == "creditmesh", "a script's change is captured under its database login"

    async with Database(journey.platform, "application").connect() as replica:

        async def corrected() -> bool:
            row = await replica.fetchval(
                "SELECT full_name FROM credit.party WHERE id = $1::text::uuid", party["id"]
            )
            return bool(row == name)

        await eventually(corrected, "corrected name in the replica")

    async def rooted() -> bool:
        answer = await journey.http.get(
            f"{journey.platform.settings.http('zipkin')}/api/v2/traces",
            params={"serviceName": "replicator-relay", "spanName": "change without context", "limit": 100},
        )
        return any(span["name"] == "process lake.credit.party" for trace in answer.json() for span in trace)

    await eventually(rooted, "trace that begins in the relay")


async def test_every_process_is_seen_in_traces_metrics_and_logs_and_no_consumer_is_orphaned(
    journey: Journey, prometheus: str
) -> None:
    maker = await journey.log_in("maker1")
    seen = {"kind": "person", "full_name": "Seen"}
    await journey.call("POST", "intake", "/parties", creating(maker), 201, json=seen)
    officer = await journey.log_in("officer1")
    await journey.call("GET", "approval", "/queue", officer, 200)
    await journey.call("GET", "search", "/applications", maker, 200)
    process = await journey.span("replicator-sink", "process lake.credit.party")

    async def services() -> bool:
        answer = await journey.http.get(f"{journey.platform.settings.http('zipkin')}/api/v2/services")
        return {"auth", "intake", "approval", "search", "replicator-relay", "replicator-sink"} <= set(
            answer.json()
        )

    await eventually(services, "traces of every process")

    async def whole() -> bool:
        spans = await journey.spans()
        ids = {span["id"] for span in spans}
        consumers = [span for span in spans if span.get("kind") == "CONSUMER"]
        return process["id"] in ids and all(span["parentId"] in ids for span in consumers)

    await eventually(whole, "trace without an orphaned consumer span")
    processes = {"auth", "intake", "approval", "search", "relay", "sink"}

    async def scraped() -> bool:
        answer = await journey.http.get(f"{prometheus}/api/v1/query", params={"query": "up == 1"})
        return processes <= {sample["metric"]["job"] for sample in answer.json()["data"]["result"]}

    await eventually(scraped, "scrape of every process")
    for name in processes:
        lines = (journey.platform.home.logs / f"{name}.log").read_text(encoding="utf-8").splitlines()
        assert lines, f"{name} has logged nothing"
        assert all(json.loads(line)["service"] for line in lines), f"{name} logs what is not JSON"
