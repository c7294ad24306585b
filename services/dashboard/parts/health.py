"""The words for what is watched: processes and alerts, and how long ago or how far behind something is."""

from collections.abc import Mapping
from math import isfinite

from services.dashboard.here import here

HEALTH: Mapping[str, tuple[str, str]] = {
    "good": ("In order", "green"),
    "watch": ("To be watched", "orange"),
    "bad": ("Not in order", "red"),
    "unknown": ("Not known", "gray"),
}
URGENCY: Mapping[str, tuple[str, str]] = {
    "page": ("Act now", "red"),
    "ticket": ("Act today", "orange"),
}
PROCESSES: Mapping[str, str] = {
    "auth": "Logins and users",
    "intake": "Takes applications",
    "approval": "Decisions",
    "search": "Search",
    "analytics": "Figures",
    "lineage": "Where data come from",
    "dashboard": "These pages",
    "relay": "Reads the changes of the lake",
    "sink": "Writes the replica",
    "verifier": "Compares lake and replica",
    "exporter": "Watches the warehouse",
    "receiver": "Takes traces",
    "zipkin": "Keeps traces",
    "prometheus": "Measures all others",
    "airflow": "Runs the flows of the warehouse",
}
ALERTS: Mapping[str, str] = {
    "ApplicationsWithoutBand": "No approval band covers some applications",
    "AuthManyFailedLogins": "Many logins are refused",
    "AuthRefreshTokenReused": "A used login was sent again",
    "AuthRevocationsStale": "A service does not learn which sessions have ended",
    "BureauSilent": "The credit bureau does not answer",
    "DocumentScansFail": "Documents cannot be scanned",
    "RecordsRejected": "Records from outside are rejected",
    "RecordsWait": "Records from outside are not written",
    "ReplicationHorizonHeld": "An open transaction holds replication back",
    "ReplicationLag": "A table of the replica is behind",
    "ReplicationMismatch": "Lake and replica differ",
    "ReplicationQuarantineNotEmpty": "Changes could not be applied",
    "ReplicationRelayBacklog": "Kafka does not take changes",
    "ReplicationRelayDown": "Nothing reads the changes of the lake",
    "ReplicationSinkDown": "Nothing writes the replica",
    "ReplicationTableStopped": "A table of the replica is stopped",
    "ReplicationVerificationStale": "Lake and replica were not compared for long",
    "ReplicationVerifierDown": "Nothing compares lake and replica",
    "WarehouseAirflowDown": "Airflow does not answer",
    "WarehouseDefinitionErrors": "A flow's file cannot be read",
    "WarehouseExporterDown": "Nothing watches the warehouse",
    "WarehouseFlowFailed": "A flow of the warehouse has failed",
    "WarehouseQualityFailed": "Checks of the data have failed",
    "WarehouseRowsSetAside": "Rows were set aside",
    "WarehouseSchedulingDown": "Airflow starts no flows",
    "WarehouseStale": "A flow of the warehouse is out of date",
}
"""What each alert of `observability/alerts` means."""
RIGHT_AWAY = 1.0
"""Less than this many seconds behind is not behind: a change needs a moment."""


def behind(seconds: float | None) -> str:
    """How far behind something is, None for not known."""
    t = here().texts
    if seconds is None or not isfinite(seconds):
        return t("Not known")
    return t("Up to date") if seconds < RIGHT_AWAY else t("{time} behind", time=t.seconds(seconds))


def ago(seconds: float | None) -> str:
    """How long ago something was: None for not known, infinite for never."""
    t = here().texts
    if seconds is None:
        return t("Not known")
    return t("{time} ago", time=t.seconds(seconds)) if isfinite(seconds) else t("Never")
