"""Labels with their documents and families, and training runs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _labels()
    _runs()


def downgrade() -> None:
    for table in ("run_lines", "run_steps", "runs", "labels", "bands", "forms", "families"):
        op.drop_table(table)


def _labels() -> None:
    op.create_table(
        "families",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("share", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("decided_at", sa.Double, nullable=False),
        sa.Column("left_share", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_families"),
    )
    op.create_table(
        "forms",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("family_id", sa.String(64), nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["family_id"], ["families.id"], name="fk_forms_family_id"),
        sa.PrimaryKeyConstraint("digest", name="pk_forms"),
    )
    op.create_index("ix_forms_family_id", "forms", ["family_id"])
    op.create_table(
        "bands",
        sa.Column("band", sa.String(20), nullable=False),
        sa.Column("form", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["form"], ["forms.digest"], name="fk_bands_form"),
        sa.PrimaryKeyConstraint("band", "form", name="pk_bands"),
    )
    op.create_table(
        "labels",
        sa.Column("id", Number, nullable=False, autoincrement=True),
        sa.Column("form", sa.String(64), nullable=False),
        sa.Column("text_digest", sa.String(64), nullable=False),
        sa.Column("schema_ref", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["form"], ["forms.digest"], name="fk_labels_form"),
        sa.PrimaryKeyConstraint("id", name="pk_labels"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_labels_form", "labels", ["form"])
    op.create_index("ix_labels_document_id", "labels", ["document_id"])
    op.create_index("ix_labels_schema_ref_text_digest_id", "labels", ["schema_ref", "text_digest", "id"])


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("is_full", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("upto_label", sa.BigInteger),
        sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("worker", sa.Text),
        sa.Column("leased_until", sa.Double),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("snapshot", sa.Text),
        sa.Column("adapter", sa.Text),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("detail", sa.Text, nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    is_active = sa.text("state in ('queued', 'running')")
    op.create_index(
        "uq_runs_active_scope", "runs", ["scope"], unique=True, sqlite_where=is_active, postgresql_where=is_active
    )
    op.create_table(
        "run_steps",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("share", sa.Double, nullable=False, server_default="0"),
        sa.Column("detail", sa.Text, nullable=False, server_default="{}"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_steps_run_id"),
        sa.PrimaryKeyConstraint("run_id", "name", name="pk_run_steps"),
    )
    op.create_table(
        "run_lines",
        sa.Column("id", Number, nullable=False, autoincrement=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_lines_run_id"),
        sa.PrimaryKeyConstraint("id", name="pk_run_lines"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_lines_run_id", "run_lines", ["run_id"])
