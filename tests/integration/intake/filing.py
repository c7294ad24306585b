"""Intake with a folder of objects that tests look into."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from services.chassis.objects.opening import open_objects
from services.intake.documents.repository import DocumentRepository
from services.intake.documents.scanners import Clamd
from services.intake.documents.worker import DocumentWorker
from services.lake.database import Lake
from tests.conftest import Database
from tests.integration.intake.files import PDF
from tests.integration.lending import OBJECT_KEY, Lending, User


@dataclass
class Filing:
    """Intake with a folder of objects, and a worker whose scanner the test starts."""

    lending: Lending
    folder: Path
    lake: Lake

    @classmethod
    @asynccontextmanager
    async def over(
        cls, lake: Database, application: Database, folder: Path, **settings: Any
    ) -> AsyncIterator[Filing]:
        stored = {"object_store_url": folder.as_uri(), "object_store_keys": SecretStr(OBJECT_KEY)}
        opened = Lake.open(lake.url("intake"), service="test", pool_size=2)
        async with Lending.over(lake, application, **stored, **settings) as lending:
            yield cls(lending, folder, opened)
        await opened.dispose()

    def worker(self, port: int) -> DocumentWorker:
        store = open_objects(self.folder.as_uri(), OBJECT_KEY)
        return DocumentWorker(self.lake, DocumentRepository(), store, Clamd(("127.0.0.1", port), seconds=5))

    @property
    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    async def draft(self, maker: User) -> str:
        body = {**await self.lending.content(maker), "submit": False}
        return str((await self.lending.post(maker, body)).json()["id"])

    async def add(
        self,
        maker: User,
        application_id: str,
        content: Any = PDF,
        media_type: str = "application/pdf",
        name: str = "pay slip.pdf",
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """POST a document."""
        return await self.lending.intake.post(
            f"/applications/{application_id}/documents",
            params={"kind": "income", "file_name": name},
            content=content,
            headers={
                **maker.headers,
                "Content-Type": media_type,
                "Idempotency-Key": key or str(uuid.uuid4()),
                **(headers or {}),
            },
        )

    async def cut_off(self, maker: User, application_id: str) -> int:
        """POST a document whose connection ends in the middle; the status of the answer that nobody reads."""
        transport = self.lending.intake._transport
        assert isinstance(transport, httpx.ASGITransport)
        headers = {
            **maker.headers,
            "Host": "test",
            "Content-Type": "application/pdf",
            "Idempotency-Key": str(uuid.uuid4()),
        }
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": f"/applications/{application_id}/documents",
            "query_string": b"kind=income&file_name=x",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "server": ("test", 80),
            "client": ("127.0.0.1", 1),
        }
        coming = [
            {"type": "http.request", "body": PDF[:60].ljust(30_000), "more_body": True},
            {"type": "http.disconnect"},
        ]
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return coming.pop(0)

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await transport.app(scope, receive, send)
        (status,) = statuses
        return status

    async def get(self, user: User, path: str) -> httpx.Response:
        return await self.lending.intake.get(path, headers=user.headers)

    async def rows(self, sql: str = "SELECT * FROM credit.document") -> list[dict[str, Any]]:
        async with self.lending.lake.connect() as connection:
            return [dict(row) for row in await connection.fetch(sql)]
