"""What waits for decisions: the officers' queue, its counts, and applications that are in no queue."""
