"""Rules of lending that need no database: money, days, schedules, states, roles."""
