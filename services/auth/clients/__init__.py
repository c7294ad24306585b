"""Programs that call the services: administrators create them in twos, and each proves itself by a secret."""
