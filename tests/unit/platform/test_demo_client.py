"""The demo's people work for longer than their tokens live."""

import httpx
import pytest

from services.chassis.web.http import HttpClient
from services.platform.demo.client import Person, Refused


class Server:
    """Auth and a service in one; a token is good for two calls."""

    def __init__(self) -> None:
        self.password = "right"
        self.logins = 0
        self.calls_left = 0
        self.done = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            if f"password={self.password}" not in request.content.decode():
                return httpx.Response(401)
            self.logins, self.calls_left = self.logins + 1, 2
            return httpx.Response(200, json={"access_token": f"token{self.logins}"})
        if request.headers.get("authorization") != f"Bearer token{self.logins}" or not self.calls_left:
            return httpx.Response(401)
        self.calls_left -= 1
        self.done += 1
        return httpx.Response(201, json={"key": request.headers.get("idempotency-key")})


async def person(server: Server) -> Person:
    client = HttpClient("http://mesh", transport=httpx.MockTransport(server))
    one = Person({"auth": client, "intake": client}, "mia", "right")
    await one.log_in()
    return one


async def test_who_is_told_that_the_token_has_expired_logs_in_again_and_does_it_once() -> None:
    server = Server()
    mia = await person(server)

    keys = [
        (await mia.post("intake", "/applications", {}, headers={"Idempotency-Key": f"k{n}"}))[1]["key"]
        for n in range(5)
    ]

    assert keys == [f"k{n}" for n in range(5)]
    assert (server.logins, server.done) == (3, 5)


async def test_who_was_disabled_meanwhile_is_told_so() -> None:
    server = Server()
    mia = await person(server)
    server.password, server.calls_left = "another", 0

    with pytest.raises(Refused, match="refused the login of mia"):
        await mia.post("intake", "/applications", {})
