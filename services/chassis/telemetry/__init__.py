"""The telemetry of a process: spans, metrics and logs, without personal data."""
