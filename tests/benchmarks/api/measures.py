"""What `make bench-api` measures on one embedded platform."""

from __future__ import annotations

import asyncio
import json
import pickle
import random
import re
import secrets
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import psutil
from argon2 import PasswordHasher
from sqlalchemy.dialects import postgresql

from services.auth.accounts.passwords import MOST_AT_ONCE
from services.chassis.testing import TokenMaker
from services.chassis.web.identity import Caller
from services.lake.domain.roles import Role, scopes_of
from services.lake.domain.states import State
from services.platform.components.mesh import passwords
from services.platform.components.postgres import binaries
from services.platform.platform import Platform
from services.platform.settings import ROOT
from services.search.domain import Filters, Order
from services.search.selection import Selection, select_found
from tests.benchmarks.api import bare
from tests.benchmarks.api.load import Connection, Load, Request, drive, request
from tests.benchmarks.api.portfolio import searches
from tests.conftest import Database
from tests.integration.lending import APPLICATION

FORM = {"content-type": "application/x-www-form-urlencoded"}
SERVICES = ("auth", "intake", "approval", "search")
CONNECTIONS = 8
PLAIN_FILES = 25


class Bench:
    """One platform, measured several times."""

    def __init__(self, platform: Platform, seconds: float) -> None:
        """`seconds`: how long each part is measured."""
        self.platform = platform
        self.seconds = seconds
        self._passwords = passwords(platform.home)

    def url(self, service: str) -> str:
        """Where a service listens."""
        return self.platform.settings.http(service)

    def login(self, username: str) -> bytes:
        """The request of a login."""
        form = {"grant_type": "password", "username": username, "password": self._passwords[username]}
        return request("POST", "/token", FORM, urlencode(form).encode())

    async def token(self, username: str) -> dict[str, Any]:
        """The answer to a login."""
        connection = await Connection.open(self.url("auth"))
        answer: dict[str, Any] = json.loads(await connection.send(self.login(username)))
        connection.close()
        return answer

    async def headers(self, username: str) -> dict[str, str]:
        """The header of somebody's requests."""
        return {"authorization": f"Bearer {(await self.token(username))['access_token']}"}

    async def log_ins(self) -> dict[str, Any]:
        """Logins a second, beside the verification of the same number of passwords and nothing else."""
        hasher, password = PasswordHasher(), secrets.token_urlsafe(12)
        encoded = hasher.hash(password)
        began, count = time.perf_counter(), 0
        with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            while time.perf_counter() - began < self.seconds:
                count += sum(pool.map(lambda _: hasher.verify(encoded, password), range(MOST_AT_ONCE)))
        alone = count / (time.perf_counter() - began)
        people = [f"maker{number}" for number in (1, 2, 3)]
        chance = random.Random(1)
        load = await drive(
            self.url("auth"),
            lambda: self.login(chance.choice(people)),
            connections=MOST_AT_ONCE,
            seconds=self.seconds,
        )
        return {
            "argon2_per_second": round(alone, 1),
            **load.as_json(),
            "ratio": round(load.per_second / alone, 2),
        }

    async def refreshes(self) -> dict[str, Any]:
        """Refreshes a second, each connection with a session of its own."""
        taken = 0
        began = time.perf_counter()

        async def keep_refreshing() -> None:
            nonlocal taken
            refresh = (await self.token("maker1"))["refresh_token"]
            connection = await Connection.open(self.url("auth"))
            while time.perf_counter() - began < self.seconds:
                form = {"grant_type": "refresh_token", "refresh_token": refresh}
                answer = await connection.send(request("POST", "/token", FORM, urlencode(form).encode()))
                refresh = json.loads(answer)["refresh_token"]
                taken += 1
            connection.close()

        await asyncio.gather(*(keep_refreshing() for _ in range(4)))
        return {"per_second": round(taken / (time.perf_counter() - began), 1)}

    async def verifications(self) -> dict[str, Any]:
        """Microseconds of one verification of an access token: of a new one, and of one that came before."""
        tokens = TokenMaker()
        verifier = tokens.verifier()
        made = [tokens.token(scopes=["applications:read"], roles=["maker"]) for _ in range(2_000)]
        await verifier.verify(tokens.token())
        taken = {}
        for name in ("first", "again"):
            began = time.perf_counter()
            for token in made:
                await verifier.verify(token)
            taken[f"{name}_microseconds"] = round((time.perf_counter() - began) / len(made) * 1e6, 1)
        return taken

    async def submissions(self, lake: Database) -> dict[str, Any]:
        """Applications a second, by one POST each: intake with 10 % and 100 % of traces, and the bare service."""
        maker = await self.headers("maker1")
        async with httpx.AsyncClient(base_url=self.url("intake"), headers=maker) as client:
            person = {"kind": "person", "full_name": "Bench Mark", "birth_date": "1980-02-29"}
            own = {"Idempotency-Key": str(uuid.uuid4())}
            answer = await client.post("/parties", json=person, headers=own)
            party = answer.raise_for_status().json()["id"]
        body = {**APPLICATION, "parties": [{"party_id": party, "role": "borrower"}]}
        content = json.dumps(body).encode()

        def post(share: float) -> Request:
            chance = random.Random(1)

            def make() -> bytes:
                flag = "01" if chance.random() < share else "00"
                trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-{flag}"
                own = {
                    "content-type": "application/json",
                    "idempotency-key": str(uuid.uuid4()),
                    "traceparent": trace,
                }
                return request("POST", "/applications", {**maker, **own}, content)

            return make

        tokens, user = TokenMaker(), uuid.uuid4()
        headers = dict(tokens.headers(scopes=scopes_of([Role.MAKER]), roles=[Role.MAKER], user=user))
        async with lake.connect() as connection:
            await connection.execute(
                "UPDATE credit.party SET created_by = $1 WHERE id = $2", user, uuid.UUID(party)
            )
            statements = await bare.recorded(lake.url("intake"), body, headers, tokens)
            await connection.execute(
                "UPDATE credit.party SET created_by = $1 WHERE id = $2", _subject(maker), uuid.UUID(party)
            )
        made = bare.made_ids(statements, {user, uuid.UUID(party)})
        found: dict[str, Any] = {"statements": len(statements)}
        loads: dict[str, Load] = {}
        with _bare(lake.url("intake"), statements, made) as base:
            await _answers(base)
            # No tables grow in favour of one: they take turns.
            for name, where, share in (
                ("bare", base, 0.0),
                ("sampled 10 %", self.url("intake"), 0.1),
                ("sampled 100 %", self.url("intake"), 1.0),
            ):
                loads[name] = await drive(where, post(share), connections=CONNECTIONS, seconds=self.seconds)
        for name, load in loads.items():
            found[name] = {
                **load.as_json(),
                "ratio": round(load.per_second / loads["bare"].per_second, 2),
            }
        return found

    async def finds(self, application: Database, some: list[str]) -> dict[str, Any]:
        """Searches a second and their times, and pgbench with the SQL of the first kind."""
        officer = await self.headers("officer1")
        found: dict[str, Any] = {}
        for kind in ("prefix, two filters", "facets", "typing error", "common name"):
            chance = random.Random(2)
            load = await drive(
                self.url("search"),
                lambda kind=kind, chance=chance: request("GET", searches(kind, chance, some), officer),  # type: ignore[misc] # mypy cannot infer it
                connections=1,
                seconds=self.seconds,
            )
            found[kind] = load.as_json()
        plain = await _pgbench(application, some, self.seconds)
        found["pgbench_per_second"] = round(plain, 1)
        found["ratio"] = round(found["prefix, two filters"]["per_second"] / plain, 2)
        return found

    async def export(self) -> dict[str, Any]:
        """Rows a second of an export of everything, and the most memory of search meanwhile."""
        auditor = await self.headers("auditor")
        search = psutil.Process(self.platform.supervisor.all()["search"].pid)
        before = search.memory_info().rss
        most, rows, last = before, 0, b""
        began = time.perf_counter()
        async with (
            httpx.AsyncClient(base_url=self.url("search"), headers=auditor, timeout=900) as client,
            client.stream("GET", "/applications.csv") as answer,
        ):
            answer.raise_for_status()
            async for chunk in answer.aiter_raw():
                rows += chunk.count(b"\n")
                last = (last + chunk)[-200:]
                most = max(most, search.memory_info().rss)
        seconds = time.perf_counter() - began
        return {
            "rows": rows - 3,
            "rows_per_second": round(rows / seconds),
            "memory_before_mib": round(before / 2**20),
            "memory_most_mib": round(most / 2**20),
            "last_line": last.decode().splitlines()[-1],
        }

    def memory(self) -> dict[str, int]:
        """Resident memory of the four services, in MiB."""
        running = self.platform.supervisor.all()
        return {
            name: round(psutil.Process(running[name].pid).memory_info().rss / 2**20)
            for name in SERVICES
            if name in running
        }


def _subject(headers: dict[str, str]) -> uuid.UUID:
    token = headers["authorization"].removeprefix("Bearer ")
    return uuid.UUID(jwt.decode(token, options={"verify_signature": False})["sub"])


@contextmanager
def _bare(lake_url: str, statements: Sequence[bare.Statement], made: set[uuid.UUID]) -> Iterator[str]:
    with socket.socket() as free, tempfile.NamedTemporaryFile() as recorded:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        Path(recorded.name).write_bytes(pickle.dumps((list(statements), made)))
        process = psutil.Popen(
            [sys.executable, "-m", "tests.benchmarks.api.bare"],
            cwd=ROOT,
            env={
                "PORT": str(port),
                "RECORDED": recorded.name,
                "URL": lake_url.replace("+asyncpg", ""),
                "PATH": "/usr/bin:/bin",
            },
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


async def _answers(base: str) -> None:
    for _ in range(200):
        try:
            (await Connection.open(base)).close()
        except OSError:
            await asyncio.sleep(0.1)
        else:
            return
    raise SystemExit(f"{base} does not answer")


async def _pgbench(application: Database, some: list[str], seconds: float) -> float:
    """Transactions a second of the statement that the first kind of search runs, sent by pgbench."""
    chance = random.Random(2)
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number in range(PLAIN_FILES):
            file = Path(folder) / f"{number}.sql"
            file.write_text(_statement(searches("prefix, two filters", chance, some)) + ";\n")
            files.append(f"--file={file}")
        process = await asyncio.create_subprocess_exec(
            str(binaries() / "pgbench"),
            *("--no-vacuum", "--client=1", f"--time={max(1, round(seconds))}"),
            *files,
            application.url("search").replace("+asyncpg", ""),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
    tps = re.search(rb"tps = ([0-9.]+)", said)
    if process.returncode or tps is None:
        raise SystemExit(f"pgbench ended with {process.returncode}: {said.decode()[-1000:]}")
    return float(tps[1])


def _statement(path: str) -> str:
    parameters = dict(httpx.URL(path).params)
    caller = Caller(uuid.UUID(int=1), "officer1", frozenset({Role.OFFICER}), scopes_of([Role.OFFICER]))
    filters = Filters(
        words=(parameters["q"],), states=(State(parameters["state"]),), products=(parameters["product"],)
    )
    statement = select_found(Selection(filters, caller), Order.NEWEST, None, int(parameters["limit"]) + 1)
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call] # SQLAlchemy's dialects have no types
    return " ".join(str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})).split())
