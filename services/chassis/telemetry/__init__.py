"""What a process tells about itself: spans, metrics and logs, without personal data."""
