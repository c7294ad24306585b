"""The journal to Kafka: one owner at a time, nothing lost, repeats only after a crash."""
