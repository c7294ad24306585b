"""Carries every committed change of the lake into the application database, exactly once and in order.

Owns the topics `lake.*`, the replica (schema `credit`) and its own bookkeeping (schema `replication`) in the
application database. `relay` goes from the journal to Kafka, `sink` from Kafka to the replica, and `verify`
proves that both sides hold the same rows.
"""
