"""Metrics of the auth service."""

from prometheus_client import Counter

LOGINS = Counter("auth_logins", "Attempts to log in, by outcome (accepted, refused, locked).", ("outcome",))
for _outcome in ("accepted", "refused", "locked"):
    # From the start at zero: a rate needs a first value.
    LOGINS.labels(_outcome)

REFRESH_REUSE = Counter(
    "auth_refresh_reuse", "Sessions that were ended because a used refresh token was sent again."
)
