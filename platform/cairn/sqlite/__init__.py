"""Django's backend for SQLite. A connection that is closed is kept for whoever needs one next."""
