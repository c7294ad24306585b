"""The trace store: OTLP in, translated, forwarded to Zipkin, which keeps and shows it."""
