"""What every service is bolted on: settings, telemetry, problems, identity, HTTP, messaging, databases."""
