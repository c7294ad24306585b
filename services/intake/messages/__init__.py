"""Records of Kafka: senders' applications and payments, each written once or kept as rejected."""
