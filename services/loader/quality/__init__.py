"""Whether what was loaded is complete and as its flow demands."""
