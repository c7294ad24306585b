"""The auth service's process and commands: serve, migrate, create-user, create-users."""

import argparse
import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.fernet import Fernet
from fastapi import FastAPI

from services.auth.accounts.attempts import Attempts
from services.auth.accounts.otp import SecondFactor
from services.auth.accounts.passwords import Passwords
from services.auth.accounts.resets import Resets
from services.auth.accounts.users import Users
from services.auth.clients.administration import Clients
from services.auth.clients.tokens import ClientTokens
from services.auth.commands import InvalidUsers, add_users, described, parse_users, password_from
from services.auth.domain import NewUser
from services.auth.routes import clients, metadata, otp, resets, sessions, tokens, users
from services.auth.routes import keys as key_routes
from services.auth.routes.callers import UseCases
from services.auth.service import KeyKeeper, utc_now
from services.auth.settings import AuthSettings, CommandSettings
from services.auth.tokens.access import AccessTokens
from services.auth.tokens.chain import RefreshKey
from services.auth.tokens.keys import KeyPolicy, KeyRing, WrongEncryptionKey
from services.auth.tokens.own import OwnSessions
from services.auth.tokens.refresh import Refreshes
from services.auth.tokens.sessions import EndedSessions, Sessions
from services.chassis.database import ApplicationDatabase
from services.chassis.engines import is_transient
from services.chassis.migrations import upgrade
from services.chassis.settings import load_settings
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web.app import create_app, serve
from services.chassis.web.health import Check
from services.chassis.web.identity import TokenVerifier
from services.chassis.web.problems import Unavailable
from services.lake.domain.roles import OF_PEOPLE, Role

MIGRATIONS = Path(__file__).parent / "migrations"
ROUTERS = (
    tokens.router,
    sessions.router,
    users.router,
    resets.router,
    otp.router,
    clients.router,
    key_routes.router,
    metadata.router,
)
REFRESH_SECONDS = 30.0
RETRY_SECONDS = 1.0

_log = get_logger(__name__)


def build_app(
    settings: AuthSettings,
    telemetry: Telemetry,
    *,
    clock: Callable[[], datetime] = utc_now,
    passwords: Passwords | None = None,
) -> FastAPI:
    """The auth service's application; `clock` tells the time, `passwords` hash otherwise."""
    database = ApplicationDatabase.open(settings.application_url.get_secret_value(), service="auth")
    secret = settings.auth_key_encryption_key.get_secret_value()
    keys = KeyRing(Fernet(secret))
    lifetime = timedelta(minutes=settings.auth_token_minutes)
    policy = KeyPolicy(timedelta(days=settings.auth_key_rotation_days), lifetime)
    keeper = KeyKeeper(database, keys, policy, clock)
    passwords = passwords or Passwords()
    access = AccessTokens(keys, issuer=settings.auth_issuer, lifetime=lifetime)
    refreshes = Refreshes(
        database,
        RefreshKey(secret.encode()),
        access,
        idle=timedelta(minutes=settings.auth_refresh_idle_minutes),
        clock=clock,
    )

    async def have_keys() -> None:
        if keys.is_empty:
            raise Unavailable("No signing key was loaded yet.")

    async def own_keys() -> dict[str, object]:
        return keys.jwks(clock())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        keeping = asyncio.create_task(_keep_keys(keeper), name="keep-keys")
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await database.dispose()

    proposals = timedelta(hours=settings.auth_proposal_hours)
    verifier = TokenVerifier(settings.auth_issuer, own_keys)
    attempts = Attempts(database, clock=clock)
    factor = SecondFactor(database, Fernet(secret), attempts, mandatory_for=settings.mfa_roles, clock=clock)
    app = create_app(
        service="auth",
        title="creditmesh auth",
        summary="Users, sessions and the access tokens that every other service verifies.",
        settings=settings,
        telemetry=telemetry,
        routers=ROUTERS,
        checks=[Check("application database", database.ping), Check("signing keys", have_keys)],
        lifespan=lifespan,
        verifier=verifier,
        # A client could have a failed guess cancelled before it is counted.
        deadlines_by_clients=False,
        # Services poll them without a token. Whoever shares their address must not keep an ended session alive; both
        # are answered from memory.
        uncounted=("/.well-known/jwks.json", "/revocations"),
    )
    app.state.use_cases = UseCases(
        users=Users(database, passwords, proposal_lifetime=proposals, clock=clock),
        sessions=Sessions(
            database,
            passwords,
            access,
            refreshes,
            factor,
            session_lifetime=timedelta(hours=settings.auth_session_hours),
            clock=clock,
        ),
        refreshes=refreshes,
        factor=factor,
        resets=Resets(database, passwords, attempts, clock=clock),
        clients=Clients(database, proposal_lifetime=proposals, clock=clock),
        client_tokens=ClientTokens(database, access, verifier, attempts, clock=clock),
        own=OwnSessions(database, verifier, clock=clock),
        ended=EndedSessions(database, clock=clock),
        keys=keys,
        issuer=settings.auth_issuer,
        public_url=settings.auth_public_url,
    )
    return app


async def _keep_keys(keeper: KeyKeeper) -> None:
    while True:
        try:
            await keeper.refresh()
        except WrongEncryptionKey:
            _log.exception(
                "signing keys cannot be decrypted; set the AUTH_KEY_ENCRYPTION_KEY they were stored with"
            )
            await asyncio.sleep(REFRESH_SECONDS)
        except Exception as error:
            if not is_transient(error):
                raise
            # The keys in memory still sign and verify.
            _log.warning("signing keys were not refreshed: the database cannot be reached", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)
        else:
            await asyncio.sleep(REFRESH_SECONDS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; `serve` without any."""
    options = _parser().parse_args(arguments)
    if options.command in (None, "serve"):
        settings = load_settings(AuthSettings)
        serve(build_app(settings, Telemetry.start("auth")), settings)
        return
    url = load_settings(CommandSettings).application_url.get_secret_value()
    if options.command == "migrate":
        upgrade(MIGRATIONS, url, version_table_schema="auth")
        print("auth: schema is up to date")
        return
    try:
        lines = asyncio.run(add_users(url, _users(options)))
    except (InvalidUsers, FileExistsError) as error:
        sys.exit(f"auth {options.command}: {error}")
    print("\n".join(lines))


def _users(options: argparse.Namespace) -> list[NewUser]:
    if options.command == "create-users":
        return parse_users(sys.stdin.buffer.read())
    password = password_from(options.password_file)
    return [described(options.username, options.display_name, options.role, password)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="services.auth.main", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="serve the API (the default)")
    commands.add_parser(
        "migrate", help="bring schema auth up to date; APPLICATION_URL with the owner's login"
    )
    create = commands.add_parser("create-user", help="add a user; an existing one stays as it is")
    create.add_argument("--username", required=True)
    create.add_argument("--display-name", help="the user name when not given")
    create.add_argument(
        "--role",
        required=True,
        action="append",
        choices=[role.value for role in Role if role in OF_PEOPLE],
    )
    create.add_argument(
        "--password-file",
        type=Path,
        help="generate a password and write it to this new file (0600); by default read it from standard input",
    )
    commands.add_parser(
        "create-users",
        help="add the users of a JSON array on standard input: username, display_name, roles, password",
    )
    return parser


if __name__ == "__main__":
    main()
