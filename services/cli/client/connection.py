"""Calls of the services with the session of a profile."""

import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import httpx

from services.cli.client import profiles
from services.cli.client.errors import NotLoggedIn, OtpRequired, Refused, Unavailable, WrongUsage
from services.cli.client.sessions import SessionStore, Tokens

TIMEOUT_SECONDS = 30.0
_TRY_LATER = frozenset({429, 502, 503, 504})


class Connection:
    """The services of one profile, called in the name of whoever is logged in there.

    Every call of a command is in one trace, whose id is printed with a refusal.
    """

    def __init__(self, profile: str, transport: httpx.BaseTransport | None = None) -> None:
        """`transport` replaces the network.

        Raises:
            WrongUsage: there is no such profile, or its authority cannot be read.
        """
        self.profile = profile
        self._urls = profiles.named(profile)
        self._store = SessionStore(profile)
        trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        try:
            self._http = httpx.Client(
                timeout=TIMEOUT_SECONDS,
                headers={"traceparent": trace, "user-agent": "creditmesh"},
                transport=transport,
                verify=ssl.create_default_context(cafile=self._urls.authority)
                if self._urls.authority
                else True,
            )
        except OSError as error:
            raise WrongUsage(
                f"the authority of profile {profile!r} cannot be read: {error.strerror}"
            ) from None

    def __enter__(self) -> Self:
        """Open it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._http.close()

    def log_in(self, username: str, password: str, otp: str | None = None) -> tuple[Mapping[str, Any], str]:
        """Open a session and keep it: the answer of POST /token, and where the tokens are kept.

        Raises:
            OtpRequired: the password was right, and a code of the second factor is needed.
            Refused: the name or the password is wrong, or there were too many attempts.
            Unavailable: auth does not answer.
        """
        form = {"grant_type": "password", "username": username, "password": password}
        try:
            answer = self._token({**form, **({"otp": otp} if otp else {})})
        except Refused as refused:
            if refused.problem.get("error") == "mfa_required":
                raise OtpRequired(refused.status_code, refused.problem) from None
            raise
        with self._store.locked():
            file = self._store.write(_tokens(username, answer))
        return answer, "the keyring" if file is None else str(file)

    def log_out(self) -> bool:
        """End the session and forget it; False when there was none.

        Raises:
            Unavailable: auth does not answer. The tokens are forgotten; the session lasts until it ends by itself.
        """
        with self._store.locked():
            tokens = self._store.read()
            self._store.remove()
        if tokens is None:
            return False
        self._send("auth", "POST", "/revoke", data={"token": tokens.refresh or tokens.access})
        return True

    def call(self, service: str, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer to one call; options are those of `httpx.Client.request`.

        Raises:
            NotLoggedIn: nobody is logged in, or the session has ended.
            Refused: the service refused.
            Unavailable: it does not answer, or cannot at the moment.
        """
        return self._send(service, method, path, token=self._access(), **options)

    def json(self, service: str, method: str, path: str, **options: Any) -> Any:
        """The body of the answer to one call; raises what `call` raises."""
        return self.call(service, method, path, **options).json()

    def items(
        self,
        service: str,
        path: str,
        most: int,
        see_first: Callable[[Mapping[str, Any]], None] | None = None,
        /,
        **parameters: Any,
    ) -> Iterator[Any]:
        """At most `most` items of a list, page by page; raises what `call` raises.

        `see_first` is shown the first page.
        """
        after: str | None = None
        while most > 0:
            asked = {**parameters, "limit": min(most, 200), **({"after": after} if after else {})}
            page = self.json(service, "GET", path, params=asked)
            if see_first is not None and after is None:
                see_first(page)
            yield from page["items"]
            most -= len(page["items"])
            after = page["next"]
            if after is None:
                return

    @contextmanager
    def streamed(self, service: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        """An answer that is read while it arrives; raises what `call` raises."""
        headers = {"Authorization": f"Bearer {self._access()}"}
        url = self._urls.url(service) + path
        try:
            with self._http.stream("GET", url, headers=headers, **options) as response:
                if response.is_error:
                    response.read()
                    _refuse(response)
                yield response
        except httpx.TransportError as error:
            raise Unavailable(_silent(service, url, error)) from None

    def ready(self, service: str) -> tuple[str, str]:
        """The URL of a service, and `ready` or what is wrong with it."""
        url = self._urls.url(service)
        try:
            answer = self._http.get(f"{url}/readyz")
        except httpx.TransportError as error:
            return url, f"does not answer ({type(error).__name__})"
        if answer.is_success:
            return url, "ready"
        checks = _body(answer).get("checks")
        failed = {name: said for name, said in (checks or {}).items() if said != "ok"}
        return url, "; ".join(
            f"{name}: {said}" for name, said in failed.items()
        ) or f"answers {answer.status_code}"

    def _access(self) -> str:
        tokens = self._store.read()
        if tokens is not None and tokens.is_fresh:
            return tokens.access
        with self._store.locked():
            # Another command may have renewed them meanwhile.
            tokens = self._store.read()
            if tokens is None:
                raise NotLoggedIn(f"Nobody is logged in to profile {self.profile!r}; run `creditmesh login`.")
            if not tokens.is_fresh:
                if not tokens.refresh:
                    raise NotLoggedIn("The session has ended; run `creditmesh login`.")
                tokens = self._renewed(tokens)
        return tokens.access

    def _renewed(self, tokens: Tokens) -> Tokens:
        try:
            answer = self._token({"grant_type": "refresh_token", "refresh_token": tokens.refresh})
        except Refused as refused:
            if refused.status_code != httpx.codes.BAD_REQUEST:
                raise
            self._store.remove()
            raise NotLoggedIn("The session has ended; run `creditmesh login`.") from None
        renewed = _tokens(tokens.username, answer)
        self._store.write(renewed)
        return renewed

    def _token(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._send("auth", "POST", "/token", data=form).json()
        return answer

    def _send(
        self, service: str, method: str, path: str, *, token: str | None = None, **options: Any
    ) -> httpx.Response:
        headers = dict(options.pop("headers", None) or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = self._urls.url(service) + path
        try:
            response = self._http.request(method, url, headers=headers, **options)
        except httpx.TransportError as error:
            raise Unavailable(_silent(service, url, error)) from None
        if response.is_error:
            _refuse(response)
        return response


def _refuse(response: httpx.Response) -> None:
    problem = _body(response)
    refused = Refused(response.status_code, problem)
    if response.status_code not in _TRY_LATER:
        raise refused
    wait = response.headers.get("Retry-After")
    raise Unavailable(f"{refused}\ntry again in {wait} s" if wait else str(refused))


def _body(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _silent(service: str, url: str, error: httpx.TransportError) -> str:
    return (
        f"{service} does not answer at {url} ({type(error).__name__}); "
        "see `creditmesh status`, and `make up` for a platform on this machine."
    )


def _tokens(username: str, answer: Mapping[str, Any]) -> Tokens:
    return Tokens(
        username=username,
        access=answer["access_token"],
        # There is none while the password has to be changed.
        refresh=answer["refresh_token"] or "",
        expires_at=time.time() + answer["expires_in"],
    )
