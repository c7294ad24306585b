"""The registry itself, and whether it says what the code says; no servers needed."""

import importlib
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from tests.telemetry.registry import EmittedSpan, Registry, names

SERVICES = Path(__file__).parents[2] / "services"


def _declared_in_code() -> dict[str, MetricWrapperBase]:
    """Every metric that a module of ours defines, by its name in PromQL."""
    found: dict[str, MetricWrapperBase] = {}
    for file in SERVICES.rglob("*.py"):
        if "prometheus_client import" not in file.read_text() or file.name == "testing.py":
            continue
        module = importlib.import_module(".".join(file.relative_to(SERVICES.parent).with_suffix("").parts))
        for value in vars(module).values():
            if isinstance(value, MetricWrapperBase):
                found[value._name + ("_total" if value._type == "counter" else "")] = value
    return found


def test_every_metric_of_the_code_is_declared_as_it_is(registry: Registry) -> None:
    in_code = _declared_in_code()
    # Airflow's page is of another environment; tests/e2e/test_warehouse.py reads it.
    ours = [name for name, entry in registry.metrics.items() if entry.emitted_by != ("airflow",)]

    assert sorted(in_code) == sorted(ours)
    for name, metric in in_code.items():
        entry = registry.metrics[name]
        declared = (entry.type, set(entry.labels), entry.description)
        assert declared == (metric._type, set(metric._labelnames), metric._documentation), name


@pytest.mark.parametrize("kind", ["attributes", "metrics"])
def test_nothing_is_declared_twice(kind: str) -> None:
    assert [name for name, count in Counter(names(kind)).items() if count > 1] == []


def test_every_attribute_is_declared_and_used(registry: Registry) -> None:
    used = {name for span in registry.spans for name in (*span.required, *span.optional)}

    assert used - set(registry.attributes) == set()
    assert set(registry.attributes) - used == set()


def test_units_are_told_by_the_names(registry: Registry) -> None:
    for name, entry in registry.metrics.items():
        stem = name.removesuffix("_total")
        assert stem.endswith("_seconds") == (entry.unit == "s"), name
        assert stem.endswith("_bytes") == (entry.unit == "By"), name
        assert name.endswith("_total") == (entry.type == "counter"), name


GOOD = {
    "http.request.method": "GET",
    "url.scheme": "http",
    "url.path": "/me",
    "http.response.status_code": 200,
    "http.route": "/me",
}


@pytest.mark.parametrize(
    ("span", "fault"),
    [
        (EmittedSpan("auth", "GET /me", "server", GOOD), None),
        (EmittedSpan("auth", "GET /me and more", "server", GOOD), "is not declared"),
        (EmittedSpan("auth", "GET /me", "internal", GOOD), "is not declared"),
        (EmittedSpan("nobody", "GET /me", "server", GOOD), "is not declared"),
        (EmittedSpan("auth", "GET /me", "server", {**GOOD, "full_name": "x"}), "full_name is not declared"),
        (EmittedSpan("auth", "GET /me", "server", {**GOOD, "url.path": 3}), "url.path is no string"),
        (
            EmittedSpan("auth", "GET /me", "server", {k: v for k, v in GOOD.items() if k != "url.path"}),
            "url.path is missing",
        ),
    ],
)
def test_spans_that_differ_from_their_declaration_are_found(
    registry: Registry, span: EmittedSpan, fault: str | None
) -> None:
    faults = registry.span_faults([span])

    assert len(faults) == (0 if fault is None else 1)
    assert fault is None or fault in faults[0]


def test_what_is_declared_and_never_emitted_is_found(registry: Registry) -> None:
    assert any("apply batch" in fault for fault in registry.silent_spans([], ["replicator-sink"]))
    assert any(
        "auth_logins_total was never emitted" in fault for fault in registry.metric_faults("auth", "# EOF\n")
    )


def test_metrics_that_differ_from_their_declaration_are_found(registry: Registry) -> None:
    exposition = (
        "# HELP auth_logins Something else.\n# TYPE auth_logins counter\n"
        'auth_logins_total{user="ann"} 1.0\n'
        "# HELP credit_invented Made up.\n# TYPE credit_invented gauge\ncredit_invented 1.0\n# EOF\n"
    )

    assert registry.metric_faults("auth", exposition, complete=False) == [
        "auth: metric auth_logins_total is declared with another type or description",
        "auth: metric auth_logins_total has the labels ['user']",
        "auth: metric credit_invented is not declared",
    ]
