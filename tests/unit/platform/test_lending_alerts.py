"""The alerts on lending on made-up series, by promtool: what fires, what must not, and when."""

from __future__ import annotations

from pathlib import Path

from tests.unit.platform.alerting import assert_firing

RECORDS = 'credit_message_records_total{job="intake",kind="payments",outcome='
SERIES = {
    'credit_applications_without_band{job="approval"}': "0x20 1x100",
    RECORDS + '"made"}': "0+5x120",
    # The first at minute 31, none since.
    RECORDS + '"rejected"}': "0x30 1x90",
    'credit_message_consumer_connected{job="intake",group="intake"}': "1x60 0x10 1x50",
    'credit_message_topics_missing{job="intake",group="intake"}': "0x80 2x10 0x30",
    'credit_message_partitions_waiting{job="intake",group="intake"}': "0x100 1x10 0x10",
    'credit_document_scans_failed{job="intake",instance="one"}': "0x40 3x20 0x60",
    'credit_document_scans_failed{job="intake",instance="two"}': "0x120",
    # One request that is answered at its second attempt is no silence.
    'credit_bureau_requests_unanswered{job="intake"}': "0x20 1 0x49 2x30 0x20",
}
PAYMENTS = [{"kind": "payments"}]
FIRING = {
    19: {"ApplicationsWithoutBand": [], "RecordsRejected": [], "RecordsWait": [], "DocumentScansFail": []},
    22: {"BureauSilent": []},
    23: {"ApplicationsWithoutBand": [{}]},
    30: {"RecordsRejected": []},
    32: {"RecordsRejected": PAYMENTS},
    43: {"DocumentScansFail": [{}]},
    50: {"RecordsRejected": []},
    61: {"RecordsWait": []},
    63: {"RecordsWait": [{}]},
    64: {"DocumentScansFail": []},
    74: {"BureauSilent": [{}]},
    75: {"RecordsWait": []},
    84: {"RecordsWait": [{}]},
    95: {"RecordsWait": []},
    104: {"RecordsWait": [{}], "BureauSilent": []},
    115: {"RecordsWait": []},
}


def test_the_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    assert_firing("lending.yaml", SERIES, FIRING, tmp_path)
