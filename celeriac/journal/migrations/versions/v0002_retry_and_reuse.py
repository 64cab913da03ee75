"""Why attempts failed and when the next is due; what outputs follow from; runs that were opened again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("keeper", sa.String(length=128), nullable=True))
    op.add_column("runs", sa.Column("opened", sa.Float(), nullable=True))
    for column in (
        sa.Column("cause", sa.String(length=16), nullable=True),
        sa.Column("due", sa.Float(), nullable=True),
        sa.Column("key", sa.String(length=64), nullable=True),
        sa.Column("parts", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("reused", sa.String(length=36), nullable=True),
    ):
        op.add_column("attempts", column)
    op.create_index("attempts_by_due", "attempts", ["due"], unique=False)
    op.create_index("attempts_by_key", "attempts", ["key", "path"], unique=False)
    some = sa.text("reused IS NOT NULL")
    op.create_index("attempts_by_reused", "attempts", ["reused"], sqlite_where=some, postgresql_where=some)
    op.create_table(
        "digests",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("stamp", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("seen", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("host", "path"),
    )


def downgrade() -> None:
    op.drop_table("digests")
    op.drop_index("attempts_by_reused", table_name="attempts")
    op.drop_index("attempts_by_key", table_name="attempts")
    op.drop_index("attempts_by_due", table_name="attempts")
    for name in ("reused", "parts", "key", "due", "cause"):
        op.drop_column("attempts", name)
    op.drop_column("runs", "opened")
    op.drop_column("runs", "keeper")
