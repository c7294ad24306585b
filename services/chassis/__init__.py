"""The common base of every process: settings, telemetry, problems, identity, HTTP, messaging, databases."""
