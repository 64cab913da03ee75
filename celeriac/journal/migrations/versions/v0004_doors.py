"""Runs that were asked for over HTTP, what listeners are told, tokens and keys of callers."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("caller", sa.String(length=255), nullable=True))
    op.add_column("runs", sa.Column("workflow", sa.String(length=255), nullable=True))
    op.add_column("runs", sa.Column("request", sa.JSON(none_as_null=True), nullable=True))
    op.create_index("runs_by_caller", "runs", ["caller", "created"], unique=False)
    op.create_index("runs_by_workflow", "runs", ["workflow", "created"], unique=False)
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("route", sa.String(length=16), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("signed", sa.Boolean(), nullable=False),
        sa.Column("key", sa.String(length=36), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due", sa.Float(), nullable=False),
        sa.Column("dead", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("notices_by_run", "notices", ["run_id", "id"], unique=False)
    op.create_index("notices_by_due", "notices", ["dead", "due"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("jti", sa.String(length=255), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("jti"),
    )
    op.create_index("tokens_by_expiry", "tokens", ["expires"], unique=False)
    op.create_table(
        "api_keys",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "stops",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("caller", sa.String(length=255), nullable=True),
        sa.Column("target", sa.String(length=64), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("stops_by_time", "stops", ["created"], unique=False)


def downgrade() -> None:
    for name in ("stops", "api_keys", "tokens", "notices"):
        op.drop_table(name)
    op.drop_index("runs_by_workflow", table_name="runs")
    op.drop_index("runs_by_caller", table_name="runs")
    for name in ("request", "workflow", "caller"):
        op.drop_column("runs", name)
