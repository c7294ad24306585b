"""The application database as the sink keeps it: tables, their types, their changes, and connections."""
