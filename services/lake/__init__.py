"""The lake's schema as a contract: tables, states, migrations, the journal of changes and sample rows."""
