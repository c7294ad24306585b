"""The OpenAPI document of auth says what auth does."""

from __future__ import annotations

import httpx

from tests.integration import documents
from tests.integration.auth.conftest import headers


async def test_the_document_says_what_auth_does(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    administrator = await headers(client, "adam")
    # Last of all what ends the session.
    document["paths"] = dict(
        sorted(document["paths"].items(), key=lambda one: one[0] in {"/logout", "/sessions"})
    )
    await documents.assert_parameters_are_known(client, document, administrator)
    assert (
        await documents.assert_schemas_refuse_what_the_service_refuses(client, document, administrator) > 10
    )
    assert documents.assert_examples_are_valid(document) > 0
