"""How connections are opened: to PostgreSQL, and to SQLite."""
