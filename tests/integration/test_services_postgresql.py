"""PostgreSQL answers through SQLAlchemy and psycopg."""

from __future__ import annotations

from sqlalchemy import create_engine, text


def test_it_answers_a_query(postgresql_url: str) -> None:
    engine = create_engine(postgresql_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
        assert connection.execute(text("SHOW listen_addresses")).scalar_one() == ""
    engine.dispose()
