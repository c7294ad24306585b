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
}
PAYMENTS = [{"kind": "payments"}]
FIRING = {
    19: {"ApplicationsWithoutBand": [], "RecordsRejected": [], "RecordsWait": []},
    23: {"ApplicationsWithoutBand": [{}]},
    30: {"RecordsRejected": []},
    32: {"RecordsRejected": PAYMENTS},
    50: {"RecordsRejected": []},
    61: {"RecordsWait": []},
    63: {"RecordsWait": [{}]},
    75: {"RecordsWait": []},
    84: {"RecordsWait": [{}]},
    95: {"RecordsWait": []},
    104: {"RecordsWait": [{}]},
    115: {"RecordsWait": []},
}


def test_the_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    assert_firing("lending.yaml", SERIES, FIRING, tmp_path)
