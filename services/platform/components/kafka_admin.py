"""Logins and rights at Kafka, by the two requests of its protocol that aiokafka's admin client does not have."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsResponse_v1
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

from services.chassis.kafka_access import KafkaAccess

SHA_512 = 2
ITERATIONS = 8192
ALLOW = 3


class Resource(IntEnum):
    """Kinds of resources, as the protocol counts them."""

    TOPIC = 2
    GROUP = 3


class Pattern(IntEnum):
    """How a resource is named."""

    LITERAL = 3
    PREFIXED = 4


class Operation(IntEnum):
    """What may be done to it."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


class Right(NamedTuple):
    """One login may do one thing to the resources of a name, from anywhere."""

    login: str
    operation: Operation
    resource: Resource
    name: str
    pattern: Pattern = Pattern.LITERAL


class _ScramResponse(Response):
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _ScramRequestV0(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _ScramResponse
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _ScramRequest(Request[_ScramRequestV0]):
    API_KEY = 51

    def __init__(self, upsertions: Sequence[tuple[Any, ...]]) -> None:
        self._upsertions = upsertions

    def build(self, request_struct_class: type[_ScramRequestV0]) -> _ScramRequestV0:
        return request_struct_class([], list(self._upsertions), {})


class _AclsRequestV1(RequestStruct):
    API_KEY = 30
    API_VERSION = 1
    RESPONSE_TYPE = CreateAclsResponse_v1
    SCHEMA = Schema(
        (
            "creations",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                ("resource_pattern_type", Int8),
                ("principal", String("utf-8")),
                ("host", String("utf-8")),
                ("operation", Int8),
                ("permission_type", Int8),
            ),
        )
    )


class _AclsRequest(Request[_AclsRequestV1]):
    API_KEY = 30

    def __init__(self, rights: Sequence[Right]) -> None:
        self._rights = rights

    def build(self, request_struct_class: type[_AclsRequestV1]) -> _AclsRequestV1:
        return request_struct_class(
            [
                (
                    int(right.resource),
                    right.name,
                    int(right.pattern),
                    f"User:{right.login}",
                    "*",
                    int(right.operation),
                    ALLOW,
                )
                for right in self._rights
            ]
        )


async def set_logins(access: KafkaAccess, passwords: Mapping[str, str], rights: Sequence[Right]) -> None:
    """Give each login its password and its rights; what is there already stays.

    Args:
        access: of a super user.
        passwords: by login.
        rights: all that are granted.

    Raises:
        aiokafka.errors.KafkaError: the broker refused a login or a right.
    """
    admin = AIOKafkaAdminClient(**access.client())
    await admin.start()
    try:
        upsertions = [_credential(login, password) for login, password in passwords.items()]
        answer = await admin._send_request(_ScramRequest(upsertions))  # noqa: SLF001 - its only way to send another
        for user, code, message, _ in answer.results:
            if code:
                raise for_code(code)(f"the login {user} was refused: {message}")
        answer = await admin._send_request(_AclsRequest(rights))  # noqa: SLF001
        for right, (code, message) in zip(rights, answer.creation_responses, strict=True):
            if code:
                raise for_code(code)(f"{right} was refused: {message}")
    finally:
        await admin.close()


def _credential(login: str, password: str) -> tuple[Any, ...]:
    salt = os.urandom(24)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return (login, SHA_512, ITERATIONS, salt, salted, {})
