"""What tools of runs over HTTP were called with: those who asked for them see it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("command", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "command")
