"""No index of chords: the scheduler asks for a run's reports, whatever chord they come from."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("attempts_by_batch", table_name="attempts")


def downgrade() -> None:
    op.create_index("attempts_by_batch", "attempts", ["batch"], unique=False)
