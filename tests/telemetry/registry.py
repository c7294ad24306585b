"""The declared telemetry of observability/schema, and its comparison with what processes emit."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pydantic import BaseModel, ConfigDict

SCHEMA = Path(__file__).parents[2] / "observability" / "schema"
# Added to a process by the client library, and by that for retries once something was tried again.
FOREIGN_METRICS = ("python_", "process_", "stamina_")
_HOLE = re.compile(r"\{[^}]+\}")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "double": (int, float),
    "boolean": (bool,),
}


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str


class Attribute(_Entry):
    """A declared span attribute."""

    type: str
    example: str | int | float | bool


class SpanEntry(_Entry):
    """A declared span; `{…}` in its name stands for what varies."""

    kind: str
    emitted_by: tuple[str, ...]
    required: tuple[str, ...] = ()
    optional: Mapping[str, str] = {}
    when: str | None = None

    def matches(self, span: "EmittedSpan") -> bool:
        """Whether `span` is one of these."""
        literal = [re.escape(part) for part in _HOLE.split(self.name)]
        return (
            span.kind == self.kind
            and span.service in self.emitted_by
            # Zipkin keeps names in lower case.
            and re.fullmatch(r"\S+".join(literal), span.name, re.IGNORECASE) is not None
        )


class MetricEntry(_Entry):
    """A declared metric."""

    type: str
    unit: str
    emitted_by: tuple[str, ...]
    labels: Mapping[str, str] = {}
    when: str | None = None


@dataclass(frozen=True, slots=True)
class EmittedSpan:
    """A span as far as the registry speaks of it; `kind` in lower case."""

    service: str
    name: str
    kind: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Registry:
    """All that is declared."""

    attributes: Mapping[str, Attribute]
    spans: tuple[SpanEntry, ...]
    metrics: Mapping[str, MetricEntry]

    def span_faults(self, emitted: Iterable[EmittedSpan], *, typed: bool = True) -> list[str]:
        """What is wrong with `emitted`: unknown spans, missing or unknown attributes, wrong types.

        `typed` is False for spans from a store that keeps all attributes as text.
        """
        faults: set[str] = set()
        for span in emitted:
            where = f"{span.service}: {span.kind} span {span.name!r}"
            entries = [entry for entry in self.spans if entry.matches(span)]
            if not entries:
                faults.add(f"{where} is not declared")
                continue
            # A name of one hole also fits the more specific ones; one entry must fit wholly.
            candidates = [self._attribute_faults(entry, span, typed=typed) for entry in entries]
            faults |= {f"{where}: {fault}" for fault in min(candidates, key=len)}
        return sorted(faults)

    def silent_spans(self, emitted: Iterable[EmittedSpan], services: Iterable[str]) -> list[str]:
        """Spans that each of `services` should have emitted in any run, and did not."""
        seen = tuple(emitted)
        return [
            f"{service}: {entry.kind} span {entry.name!r} was never emitted"
            for entry in self.spans
            for service in services
            if service in entry.emitted_by
            and entry.when is None
            and not any(span.service == service and entry.matches(span) for span in seen)
        ]

    def metric_faults(self, process: str, exposition: str, *, complete: bool = True) -> list[str]:
        """What is wrong with the OpenMetrics text of `process`: unknown, mistyped, mislabelled, or silent metrics.

        Without `complete` metrics that have no sample yet are not missed.
        """
        faults: list[str] = []
        emitted: set[str] = set()
        for family in text_string_to_metric_families(exposition):  # type: ignore[no-untyped-call]
            name = family.name + ("_total" if family.type == "counter" else "")
            if name.startswith(FOREIGN_METRICS) or not family.samples:
                continue
            emitted.add(name)
            entry = self.metrics.get(name)
            if entry is None:
                faults.append(f"{process}: metric {name} is not declared")
                continue
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            if family.type != entry.type or family.documentation != entry.description:
                faults.append(f"{process}: metric {name} is declared with another type or description")
            if labels != set(entry.labels):
                faults.append(f"{process}: metric {name} has the labels {sorted(labels)}")
        if complete:
            faults += [
                f"{process}: metric {entry.name} was never emitted"
                for entry in self.metrics.values()
                if process in entry.emitted_by and entry.when is None and entry.name not in emitted
            ]
        return faults

    def _attribute_faults(self, entry: SpanEntry, span: EmittedSpan, *, typed: bool) -> list[str]:
        known = {*entry.required, *entry.optional}
        faults = [f"attribute {name} is missing" for name in entry.required if name not in span.attributes]
        faults += [f"attribute {name} is not declared" for name in span.attributes if name not in known]
        if typed:
            faults += [
                f"attribute {name} is no {self.attributes[name].type}"
                for name, value in span.attributes.items()
                if name in known and not isinstance(value, _TYPES[self.attributes[name].type])
            ]
        return faults


def load() -> Registry:
    """The registry in observability/schema; raises pydantic's ValidationError for a malformed entry."""
    return Registry(
        attributes={one.name: one for one in map(Attribute.model_validate, _read("attributes"))},
        spans=tuple(map(SpanEntry.model_validate, _read("spans"))),
        metrics={one.name: one for one in map(MetricEntry.model_validate, _read("metrics"))},
    )


def names(kind: str) -> list[str]:
    """The names in one of the files, in their order; twice when declared twice."""
    return [entry["name"] for entry in _read(kind)]


def _read(kind: str) -> list[dict[str, Any]]:
    document = yaml.safe_load((SCHEMA / f"{kind}.yaml").read_text())
    entries: list[dict[str, Any]] = document[kind]
    return entries
