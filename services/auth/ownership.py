"""What the auth service's login may do in schema `auth`; it has no other rights."""

from collections.abc import Iterator

from sqlalchemy.engine import Connection

from services.chassis.engines import Engine

_GRANTS = {
    "users": "SELECT, INSERT, UPDATE",
    "sessions": "SELECT, INSERT, UPDATE, DELETE",
    "refresh_token": "SELECT, INSERT, UPDATE, DELETE",
    "login_failures": "SELECT, INSERT, UPDATE, DELETE",
    "network_failures": "SELECT, INSERT, UPDATE, DELETE",
    "signing_keys": "SELECT, INSERT, DELETE",
    "proposals": "SELECT, INSERT, UPDATE",
    "reset_code": "SELECT, INSERT, UPDATE",
    "totp": "SELECT, INSERT, UPDATE, DELETE",
    "recovery_code": "SELECT, INSERT, UPDATE, DELETE",
    "client": "SELECT, INSERT, UPDATE",
    "client_secret": "SELECT, INSERT, UPDATE",
    # Append-only: what happened is neither changed nor forgotten.
    "event": "SELECT, INSERT",
}


def grants(_engine: Engine, _connection: Connection | None) -> Iterator[str]:
    """Yield the GRANT statements for the login `auth`."""
    yield "GRANT USAGE ON SCHEMA auth TO auth"
    for table, rights in _GRANTS.items():
        yield f"GRANT {rights} ON auth.{table} TO auth"
