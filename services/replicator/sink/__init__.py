"""Kafka to the replica: batches of records, each one transaction with its offsets and its quarantine."""
