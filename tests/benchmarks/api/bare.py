"""The least that could take an application: bare FastAPI and asyncpg, which run the SQL that intake runs for one.

No login, no rules, no idempotency of its own, no traces: the statements, their values and their transaction are those
of one real request, recorded by `recorded`; every id that the request made is replaced in each request.
"""

from __future__ import annotations

import os
import pickle
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI, Request
from pydantic import SecretStr
from sqlalchemy.engine import Engine

from services.chassis.testing import TokenMaker, span_recorder
from services.intake import main as intake
from services.intake.settings import IntakeSettings
from tests.integration.lending import client_of

Statement = tuple[str, tuple[Any, ...]]
RECORDED_KEY = "5f2f4b86-7b0c-4a44-9d3e-3f6a4a1c0b11"
"""The Idempotency-Key of the recorded request; each request has its own in its place."""


async def recorded(
    lake_url: str, body: dict[str, Any], headers: dict[str, str], tokens: TokenMaker
) -> list[Statement]:
    """The statements, with their values, that intake runs for one POST of `body`."""
    found: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        rows = parameters if isinstance(parameters, list) else [parameters]
        found.extend((statement, tuple(values)) for values in rows)

    settings = IntakeSettings(
        http_port=0,
        auth_jwks_url="http://127.0.0.1:1/unused",
        lake_url=SecretStr(lake_url),
        person_tag_key=SecretStr("k" * 32),
    )
    app = intake.build(settings, span_recorder().telemetry, tokens.verifier())
    async with client_of(app) as client:
        sa.event.listen(Engine, "before_cursor_execute", note)
        try:
            answer = await client.post(
                "/applications", json=body, headers={**headers, "Idempotency-Key": RECORDED_KEY}
            )
        finally:
            sa.event.remove(Engine, "before_cursor_execute", note)
    if answer.status_code != 201:
        raise SystemExit(f"intake answered {answer.status_code}: {answer.text}")
    return found


def made_ids(statements: Sequence[Statement], known: set[uuid.UUID]) -> set[uuid.UUID]:
    """The ids that the recorded request made: all but the known ones."""
    return {value for _, values in statements for value in values if isinstance(value, uuid.UUID)} - known


def build(url: str, statements: Sequence[Statement], made: set[uuid.UUID]) -> FastAPI:
    """The application; `made` are the ids to replace in each request."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        app.state.pool = await asyncpg.create_pool(url, min_size=10, max_size=10)
        yield
        await app.state.pool.close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/applications", status_code=201)
    async def submit(content: dict[str, Any], request: Request) -> dict[str, Any]:
        new = {one: uuid.uuid4() for one in made}
        key = request.headers["idempotency-key"]

        def value(old: Any) -> Any:
            if isinstance(old, uuid.UUID):
                return new.get(old, old)
            return old.replace(RECORDED_KEY, key) if isinstance(old, str) else old

        async with request.app.state.pool.acquire() as connection, connection.transaction():
            for statement, values in statements:
                await connection.fetch(statement, *map(value, values))
        return {"id": str(next(iter(new.values()))), **content}

    return app


def main() -> None:
    """Serve on `PORT` what the file `RECORDED` says, over the database `URL`."""
    statements, made = pickle.loads(Path(os.environ["RECORDED"]).read_bytes())  # noqa: S301 - written by the benchmark
    app = build(os.environ["URL"], statements, made)
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
