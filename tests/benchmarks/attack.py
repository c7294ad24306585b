"""The response time of /livez while a service is attacked, compared with an idle service.

Run: `make bench-attack`. Each attack runs in a process of its own against one service in another.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from services.chassis.testing import TokenMaker
from services.chassis.web.http_server import MAX_URL_BYTES
from services.chassis.web.input.body_limit import DEFAULT_BODY_BYTES

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "var" / "bench" / "attack.json"
PROBE_EVERY_SECONDS = 0.005
CONNECTIONS = 8
SLOW_CONNECTIONS = 300
JSON = {"content-type": "application/json"}

Attack = Callable[[str, dict[str, str]], Awaitable[None]]


async def large_bodies(base: str, _: dict[str, str]) -> None:
    """15 MB of `[[],[],…` without a token."""
    await _flood(base, b"[" + b"[]," * (5 << 20) + b"[]]", {})


async def costly_bodies(base: str, token: dict[str, str]) -> None:
    """The costliest JSON within a route's limit, with a token."""
    await _flood(base, b"[" + b'{"a":1},' * ((DEFAULT_BODY_BYTES - 10) // 8) + b"{}]", token)


async def large_heads(base: str, _: dict[str, str]) -> None:
    """URLs beyond the limit."""
    async with httpx.AsyncClient(base_url=base) as client:

        async def send() -> None:
            while True:
                with suppress(httpx.HTTPError):
                    await client.get("/" + "a" * (2 * MAX_URL_BYTES))

        await asyncio.gather(*(send() for _ in range(CONNECTIONS)))


async def slow_requests(base: str, _: dict[str, str]) -> None:
    """Many connections that send a byte a second."""
    host, port = base.removeprefix("http://").split(":")

    async def trickle() -> None:
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"POST /notes HTTP/1.1\r\nX: ")
                while not writer.is_closing():
                    writer.write(b"a")
                    await writer.drain()
                    await asyncio.sleep(1)

    await asyncio.gather(*(trickle() for _ in range(SLOW_CONNECTIONS)))


ATTACKS: dict[str, Attack] = {
    one.__name__: one for one in (large_bodies, costly_bodies, large_heads, slow_requests)
}


async def _flood(base: str, body: bytes, token: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:

        async def send() -> None:
            while True:
                with suppress(httpx.HTTPError):
                    await client.post("/notes", content=body, headers=token | JSON)

        await asyncio.gather(*(send() for _ in range(CONNECTIONS)))


async def probe(base: str, seconds: float) -> dict[str, float]:
    """Ask for /livez again and again; gives percentiles in milliseconds, and how often no answer came."""
    taken: list[float] = []
    failed = 0
    async with httpx.AsyncClient(base_url=base, timeout=30) as client:
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            try:
                failed += (await client.get("/livez")).status_code != 200
            except httpx.HTTPError:
                failed += 1
            taken.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(PROBE_EVERY_SECONDS)
    cuts = statistics.quantiles(taken, n=100)
    return {"p50": cuts[49], "p99": cuts[98], "max": max(taken), "asked": len(taken), "failed": failed}


@asynccontextmanager
async def process(module: str, *arguments: str, **environment: str) -> AsyncGenerator[None]:
    """A Python process that is killed in the end."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            running.send_signal(signal.SIGKILL)
        await running.wait()


async def measure(port: int, seconds: float) -> None:
    """Measure the quiet service, then each attack, and print a line for each."""
    tokens = TokenMaker()
    base = f"http://127.0.0.1:{port}"
    header = json.dumps(tokens.headers(scopes=["decide"]))
    results: dict[str, dict[str, float]] = {}
    # What is measured is what a request costs, not how early it is refused.
    limits = {"RATE_LIMIT_READ": "100000/second", "RATE_LIMIT_WRITE": "100000/second"}
    environment = {"HTTP_PORT": str(port), "JWKS": json.dumps(tokens.jwks()), **limits}
    async with process("tests.security.guarded_process", **environment):
        async with httpx.AsyncClient(base_url=base) as client:
            while True:
                with suppress(httpx.HTTPError):
                    await client.get("/livez")
                    break
                await asyncio.sleep(0.1)
        results["quiet"] = await probe(base, seconds)
        for name in ATTACKS:
            async with process(
                "tests.benchmarks.attack", "--attack", name, "--base", base, "--token", header
            ):
                await asyncio.sleep(2)
                results[name] = await probe(base, seconds)
            await asyncio.sleep(1)
    quiet = results["quiet"]["p99"]
    for name, found in results.items():
        print(
            f"{name:14} p50 {found['p50']:7.2f} ms   p99 {found['p99']:7.2f} ms ({found['p99'] / quiet:.1f} x)"
            f"   max {found['max']:7.1f} ms   {found['failed']:.0f} of {found['asked']:.0f} failed"
        )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(results, indent=2) + "\n")


def main() -> None:
    """Run the benchmark, or one attack."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.attack", description=__doc__)
    parser.add_argument("--port", type=int, default=17190, help="where the attacked service listens")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each part is measured")
    parser.add_argument("--attack", choices=sorted(ATTACKS), help=argparse.SUPPRESS)
    parser.add_argument("--base", help=argparse.SUPPRESS)
    parser.add_argument("--token", default="{}", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.attack:
        asyncio.run(_attack(chosen.attack, chosen.base, json.loads(chosen.token)))
    else:
        asyncio.run(measure(chosen.port, chosen.seconds))


async def _attack(name: str, base: str, token: dict[str, str]) -> None:
    await ATTACKS[name](base, token)


if __name__ == "__main__":
    main()
