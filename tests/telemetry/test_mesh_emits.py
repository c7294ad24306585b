"""The running mesh under an application's journey: it emits what is declared, and all that is declared."""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.lake.samples.german_credit import read
from services.platform.components.mesh import SERVICES, passwords, run_once
from services.platform.platform import Platform
from tests.telemetry.emitted import stored
from tests.telemetry.registry import Registry

# Processes, and the name under which each one's spans are stored.
TRACED = {
    "auth": "auth",
    "intake": "intake",
    "approval": "approval",
    "search": "search",
    "dashboard": "dashboard",
    "relay": "replicator-relay",
    "sink": "replicator-sink",
    "verifier": "replicator-verify",
    "analytics": "analytics",
    "lineage": "lineage",
}
PATIENCE_SECONDS = 60
PLANTED = {
    "full_name": "Erika Beispielhaft",
    "national_id": "PLANTED0042",
    "email": "erika@planted.example",
    "phone": "+49 30 5550142",
}
Span = dict[str, Any]


@dataclass
class Mesh:
    """Clients of the running processes, and the trace of the journey made with them."""

    clients: dict[str, httpx.AsyncClient]
    zipkin: httpx.AsyncClient
    secrets: dict[str, str]
    logs: Path
    trace_id: str = ""
    tokens: list[str] = field(default_factory=list)

    async def log_in(self, user: str) -> dict[str, str]:
        """The Authorization header of a seeded user."""
        form = {"username": user, "password": self.secrets[user]}
        response = await self.clients["auth"].post("/token", data=form)
        assert response.status_code == 200, response.text
        self.tokens.append(response.json()["access_token"])
        return {"Authorization": f"Bearer {self.tokens[-1]}"}

    async def journey(self) -> None:
        """Submit an application, decide on it, find it in the replica, and read its audit."""
        maker, officer = await self.log_in("maker1"), await self.log_in("officer1")
        await self.clients["auth"].get("/me", headers=maker)
        party = await self.clients["intake"].post(
            "/parties",
            json={"kind": "person", "birth_date": "1986-04-01", **PLANTED},
            headers={**maker, "Idempotency-Key": str(uuid.uuid4())},
        )
        assert party.status_code == 201, party.text
        body = {
            "product_code": "CONSUMER",
            "amount": "1169.00",
            "currency": "DEM",
            "term_months": 6,
            "purpose": "radio/television",
            "channel": "branch",
            "profile": dict(next(read()).profile),
            "parties": [{"party_id": party.json()["id"], "role": "borrower"}],
        }
        self.trace_id = uuid.uuid4().hex
        submitted = await self.clients["intake"].post(
            "/applications",
            json=body,
            headers={
                **maker,
                "Idempotency-Key": str(uuid.uuid4()),
                "traceparent": f"00-{self.trace_id}-{uuid.uuid4().hex[:16]}-01",
            },
        )
        assert submitted.status_code == 201, submitted.text
        application = submitted.json()
        decided = await self.clients["approval"].post(
            f"/applications/{application['id']}/decisions",
            json={"outcome": "approve"},
            headers={**officer, "If-Match": submitted.headers["etag"]},
        )
        assert decided.status_code in (200, 201), decided.text
        await self._until_replicated(application["id"], officer)
        record, auditor = f"/applications/{application['id']}", await self.log_in("auditor")
        for service, path, reader in (
            ("intake", record, maker),
            ("approval", record, officer),
            ("approval", "/queue", officer),
            ("search", f"{record}/audit", auditor),
            ("search", "/applications", officer),
            ("analytics", "/kpis", officer),
            ("analytics", "/builds", officer),
            ("lineage", "/api/v1/namespaces", officer),
        ):
            response = await self.clients[service].get(path, headers=reader)
            assert response.status_code == 200, response.text
        await self._open_dashboard("officer1")

    async def _open_dashboard(self, user: str) -> None:
        """Log in to the dashboard as a browser does, and open a page."""
        browser = self.clients["dashboard"]
        form = re.search(r'name="token" value="(\w+)"', (await browser.get("/login")).text)
        assert form is not None
        fields = {"username": user, "password": self.secrets[user], "token": form.group(1)}
        answer = await browser.post("/login", data=fields, headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 303, answer.text
        assert (await browser.get("/approve")).status_code == 200

    async def _until_replicated(self, application: str, headers: dict[str, str]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await self._is_found(application, headers):
                await asyncio.sleep(0.2)

    async def _is_found(self, application: str, headers: dict[str, str]) -> bool:
        response = await self.clients["search"].get(f"/applications/{application}", headers=headers)
        return response.status_code == 200

    async def spans(self) -> list[Span]:
        """Every span that the store has of our processes."""
        found: list[Span] = []
        for service in TRACED.values():
            response = await self.zipkin.get(
                "/api/v2/traces", params={"serviceName": service, "limit": 1000, "lookback": 3_600_000}
            )
            assert response.status_code == 200, response.text
            found += [span for trace in response.json() for span in trace]
        ours = {(span["traceId"], span["id"], span.get("kind")): span for span in found}
        return list(ours.values())

    async def metrics(self, process: str) -> str:
        """What a process exposes."""
        return (await self.clients[process].get("/metrics")).text


@pytest.fixture(scope="module")
async def mesh(running_platform: Platform) -> AsyncIterator[Mesh]:
    settings = running_platform.settings
    async with AsyncExitStack() as stack:

        async def client(name: str) -> httpx.AsyncClient:
            return await stack.enter_async_context(
                httpx.AsyncClient(base_url=settings.http(name), timeout=PATIENCE_SECONDS)
            )

        names = [*(service.name for service in SERVICES), "receiver"]
        clients = {name: await client(name) for name in names}
        mesh = Mesh(
            clients, await client("zipkin"), passwords(running_platform.home), running_platform.home.logs
        )
        await mesh.journey()
        await run_once(
            "services.replicator.main",
            "backfill",
            "credit.product",
            environment={
                "LAKE_URL": running_platform.database_url("lake", "verifier"),
                "APPLICATION_URL": running_platform.database_url("application", "verifier"),
            },
        )
        yield mesh


async def test_every_span_is_declared_and_every_declared_span_is_emitted(
    mesh: Mesh, registry: Registry
) -> None:
    silent: list[str] = []
    for _ in range(PATIENCE_SECONDS // 2):
        silent = registry.silent_spans(stored(await mesh.spans()), TRACED.values())
        if not silent:
            break
        await asyncio.sleep(1)

    assert silent == []
    assert registry.span_faults(stored(await mesh.spans()), typed=False) == []


@pytest.mark.parametrize("process", [*TRACED, "exporter", "receiver"])
async def test_every_metric_is_declared_and_every_declared_metric_is_emitted(
    mesh: Mesh, registry: Registry, process: str
) -> None:
    assert registry.metric_faults(process, await mesh.metrics(process)) == []


async def test_a_submission_is_one_trace_through_intake_journal_and_sink(mesh: Mesh) -> None:
    trace: list[Span] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        # Each process exports on its own: a child may be stored before its parent.
        while not (parents := {span["parentId"] for span in trace if span.get("kind") == "CONSUMER"}) or (
            parents - {span["id"] for span in trace}
        ):
            response = await mesh.zipkin.get(f"/api/v2/trace/{mesh.trace_id}")
            trace = response.json() if response.status_code == 200 else []
            await asyncio.sleep(0.5)

    by_id = {span["id"]: span for span in trace}
    server = [span for span in trace if span.get("kind") == "SERVER"]
    consumers = [span for span in trace if span.get("kind") == "CONSUMER"]
    assert [span["name"] for span in server] == ["post /applications"]
    assert sum(span["localEndpoint"]["serviceName"] == "intake" for span in trace) <= 8
    for consumer in consumers:
        assert consumer["localEndpoint"]["serviceName"] == "replicator-sink"
        producer = by_id[consumer["parentId"]]
        assert (producer["name"], producer["kind"]) == ("transaction lake", "PRODUCER")
        assert producer["parentId"] == server[0]["id"]


async def test_every_batch_links_to_the_changes_in_it(mesh: Mesh) -> None:
    spans = await mesh.spans()
    processed = {f"{span['traceId']}-{span['id']}" for span in spans if span.get("kind") == "CONSUMER"}
    linked = {
        value
        for span in spans
        if span["name"] == "apply batch"
        for key, value in span.get("tags", {}).items()
        if key.startswith("link.")
    }

    assert processed
    assert processed <= linked


async def test_an_exemplar_leads_to_a_stored_trace(mesh: Mesh) -> None:
    exposition = await mesh.metrics("intake")
    bucket = next(
        line
        for line in exposition.splitlines()
        if "http_server_request_duration_seconds_bucket" in line
        and '"/applications"' in line
        and "trace_id=" in line
    )
    trace_id = bucket.partition('trace_id="')[2][:32]

    response = await mesh.zipkin.get(f"/api/v2/trace/{trace_id}")

    assert response.status_code == 200
    assert trace_id == mesh.trace_id


async def test_no_span_was_lost(mesh: Mesh) -> None:
    for process in TRACED:
        exposition = await mesh.metrics(process)
        assert 'telemetry_spans_dropped_total{reason="queue_full"} 0.0' in exposition
        assert 'telemetry_spans_dropped_total{reason="export_failed"} 0.0' in exposition


async def test_planted_personal_data_and_secrets_are_in_no_span_metric_or_log(mesh: Mesh) -> None:
    # The same name again, refused: errors must not repeat what was sent either.
    maker = await mesh.log_in("maker1")
    for wrong in ({**PLANTED, "kind": "ghost"}, {**PLANTED, "kind": "person", "birth_date": "never"}):
        headers = {**maker, "Idempotency-Key": str(uuid.uuid4())}
        refused = await mesh.clients["intake"].post("/parties", json=wrong, headers=headers)
        assert refused.status_code == 422
    # A query is a part of the URL, which much of the world logs.
    for name in ("national_id", "email", "phone"):
        sought = await mesh.clients["intake"].get("/parties", params={name: PLANTED[name]}, headers=maker)
        assert len(sought.json()["items"]) == 1, sought.text
    refused = await mesh.clients["intake"].get(
        "/parties", params={"email": PLANTED["full_name"], "phone": PLANTED["national_id"]}, headers=maker
    )
    assert refused.status_code == 422
    await mesh.clients["search"].get("/applications", params={"q": PLANTED["full_name"]}, headers=maker)
    await mesh.clients["auth"].post(
        "/token", data={"username": PLANTED["email"], "password": "planted-password"}
    )
    await asyncio.sleep(3)

    logs = {file: file.read_text(errors="replace") for file in mesh.logs.rglob("*.log")}
    emitted = "".join(
        [json.dumps(await mesh.spans()), *[await mesh.metrics(process) for process in TRACED], *logs.values()]
    )
    assert {f"{process}.log" for process in TRACED} <= {file.name for file in logs}
    for secret in (*PLANTED.values(), "planted-password", *mesh.tokens, *mesh.secrets.values()):
        assert secret not in emitted
