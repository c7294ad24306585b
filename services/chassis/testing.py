"""Helpers for tests: spans in memory, access tokens of a test key, the metrics of a response."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from uuid_utils.compat import uuid7

from services.chassis.telemetry.export import RedactingExporter
from services.chassis.telemetry.logging import configure_logging
from services.chassis.telemetry.spans import Telemetry, new_provider
from services.chassis.web.identity import ALGORITHM, AUDIENCE, TOKEN_TYPE, TokenVerifier

Labels = tuple[tuple[str, str], ...]


class SpanRecorder:
    """Telemetry whose spans, redacted as they would be exported, stay in memory."""

    def __init__(self, service: str = "test") -> None:
        """Install a provider for the whole process; tests get theirs from `span_recorder`."""
        self._exporter = InMemorySpanExporter()
        provider = new_provider(service)
        provider.add_span_processor(SimpleSpanProcessor(RedactingExporter(self._exporter)))
        configure_logging(service)
        trace.set_tracer_provider(provider)
        propagate.set_global_textmap(TraceContextTextMapPropagator())
        self.telemetry = Telemetry(service, provider)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that ended since the last `clear`, in the order of their ends."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of `spans` that have this name."""
        return [span for span in self.spans if span.name == name]

    def names_beside(self, name: str) -> list[str]:
        """The names of all of `spans` in the trace of the one with this name, sorted: others work beside a request."""
        (one,) = self.named(name)
        return sorted(span.name for span in self.spans if span.context.trace_id == one.context.trace_id)

    def clear(self) -> None:
        """Forget all spans."""
        self._exporter.clear()


@cache
def span_recorder() -> SpanRecorder:
    """The recorder of the test run: OpenTelemetry allows one global provider for each process."""
    return SpanRecorder()


@dataclass
class TokenMaker:
    """Makes access tokens like the issuer's, signed with its own key."""

    issuer: str = "creditmesh"
    audience: str = AUDIENCE
    key_id: str = "test-key"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def jwks(self) -> dict[str, Any]:
        """The JWKS with the public half of the key."""
        public = jwt.algorithms.OKPAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self.key_id, "use": "sig", "alg": ALGORITHM}]}

    def verifier(self) -> TokenVerifier:
        """A verifier that trusts this maker."""
        return TokenVerifier(self.issuer, self.jwks(), self.audience)

    def token(
        self,
        *,
        scopes: Iterable[str] = (),
        roles: Iterable[str] = (),
        user: UUID | None = None,
        username: str = "tester",
        lifetime: timedelta = timedelta(minutes=60),
        kind: str = TOKEN_TYPE,
        **claims: Any,
    ) -> str:
        """A token for `user` (a new one by default); `kind` is its type; further `claims` replace others."""
        now = datetime.now(UTC)
        return jwt.encode(
            {
                "iss": self.issuer,
                "aud": self.audience,
                "sub": str(user or uuid7()),
                "username": username,
                "roles": sorted(roles),
                "scope": " ".join(sorted(scopes)),
                "iat": now,
                "exp": now + lifetime,
                "jti": str(uuid7()),
                "sid": str(uuid7()),
                **claims,
            },
            self.key,
            algorithm=ALGORITHM,
            headers={"kid": self.key_id, "typ": kind},
        )

    def headers(self, **options: Any) -> dict[str, str]:
        """An Authorization header with a `token` of these options."""
        return {"Authorization": f"Bearer {self.token(**options)}"}


def parse_metrics(text: str) -> Mapping[str, Mapping[Labels, float]]:
    """Samples of an OpenMetrics exposition: sample name → sorted labels → value."""
    samples: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call] # has no annotations
        for sample in family.samples:
            samples.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return samples
