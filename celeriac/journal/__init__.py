"""The journal: the truth about runs, nodes and attempts, in SQLite or PostgreSQL."""
