"""Django's backend for PostgreSQL. Its pool gives out connections that live, without asking the server."""
