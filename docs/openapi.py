# ruff: noqa: INP001 - a script, not a package
"""Write the OpenAPI documents of the services to docs/api, or with --check say which is out of date.

A changed API shows in the review of a change, whether it was meant or not. The services are built without any server;
what they are given for their databases and keys is in no document.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "api"
sys.path.insert(0, str(FOLDER.parents[1]))

from cryptography.fernet import Fernet  # noqa: E402
from fastapi import FastAPI  # noqa: E402
from pydantic import SecretStr  # noqa: E402

from services.analytics import main as analytics  # noqa: E402
from services.analytics.settings import AnalyticsSettings  # noqa: E402
from services.approval import main as approval  # noqa: E402
from services.approval.settings import ApprovalSettings  # noqa: E402
from services.auth import main as auth  # noqa: E402
from services.auth.settings import AuthSettings  # noqa: E402
from services.chassis.telemetry.spans import Telemetry, new_provider  # noqa: E402
from services.chassis.web.identity import TokenVerifier  # noqa: E402
from services.intake import main as intake  # noqa: E402
from services.intake.settings import IntakeSettings  # noqa: E402
from services.lineage import main as lineage  # noqa: E402
from services.lineage.settings import LineageSettings  # noqa: E402
from services.search import main as search  # noqa: E402
from services.search.settings import SearchSettings  # noqa: E402

COMMON: dict[str, Any] = {"http_port": 0, "auth_jwks_url": "http://127.0.0.1:1/jwks.json"}
UNUSED = SecretStr("a key that tags nothing: no request comes")
NOWHERE = SecretStr("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")


def _verifier() -> TokenVerifier:
    return TokenVerifier("creditmesh", {"keys": []})


def _telemetry(service: str) -> Telemetry:
    return Telemetry(service, new_provider(service))


def _auth() -> FastAPI:
    key = SecretStr(Fernet.generate_key().decode())
    return auth.build_app(
        AuthSettings(application_url=NOWHERE, auth_key_encryption_key=key, **COMMON), _telemetry("auth")
    )


def _intake() -> FastAPI:
    return intake.build(
        IntakeSettings(lake_url=NOWHERE, person_tag_key=UNUSED, **COMMON), _telemetry("intake"), _verifier()
    )


def _approval() -> FastAPI:
    return approval.build(ApprovalSettings(lake_url=NOWHERE, **COMMON), _telemetry("approval"), _verifier())


def _search() -> FastAPI:
    settings = SearchSettings(lake_url=NOWHERE, application_url=NOWHERE, **COMMON)
    return search.build(settings, _telemetry("search"), _verifier())


def _analytics() -> FastAPI:
    settings = AnalyticsSettings(warehouse_url=NOWHERE, **COMMON)
    return analytics.build(settings, _telemetry("analytics"), _verifier())


def _lineage() -> FastAPI:
    settings = LineageSettings(application_url=NOWHERE, **COMMON)
    return lineage.build(settings, _telemetry("lineage"), _verifier())


SERVICES: Mapping[str, Callable[[], FastAPI]] = {
    "analytics": _analytics,
    "approval": _approval,
    "auth": _auth,
    "intake": _intake,
    "lineage": _lineage,
    "search": _search,
}


def document(service: str) -> dict[str, Any]:
    """The OpenAPI document of a service."""
    return SERVICES[service]().openapi()


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write or check (`--check`) every document in `folder`.

    Returns:
        The exit status: 0 when all documents are up to date, 1 when one is not.
    """
    stale = []
    for service in SERVICES:
        path = folder / f"{service}.openapi.json"
        wanted = json.dumps(document(service), indent=2, ensure_ascii=False) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != wanted:
            stale.append(path)
            if "--check" not in arguments:
                folder.mkdir(exist_ok=True)
                path.write_text(wanted, encoding="utf-8")
    if stale and "--check" in arguments:
        names = ", ".join(f"docs/api/{path.name}" for path in stale)
        print(f"out of date: {names}; run `make docs-tables`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
