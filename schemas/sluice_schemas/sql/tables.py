"""The tables of labels and of training runs. They reach a database by the migrations beside this file.

Columns of type `Double` are Unix seconds unless a comment says otherwise.
"""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""Only an INTEGER counts by itself in SQLite; it has 64 bits there too."""

families = sa.Table(
    "families",
    metadata,
    # The digest of its first form.
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("share", sa.Text, nullable=False),
    # hash | example
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_at", sa.Double, nullable=False),
    # The share that it had before it became that of an example.
    sa.Column("left_share", sa.Text),
)

forms = sa.Table(
    "forms",
    metadata,
    # SHA-256 of a text's normal form.
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("family_id", sa.ForeignKey("families.id"), nullable=False, index=True),
    sa.Column("signature", sa.LargeBinary, nullable=False),
)

bands = sa.Table(
    "bands",
    metadata,
    # Texts that are nearly equal have a band in common; the key is the index by which they are found.
    sa.Column("band", sa.String(20), primary_key=True),
    sa.Column("form", sa.ForeignKey("forms.digest"), primary_key=True),
)

labels = sa.Table(
    "labels",
    metadata,
    sa.Column("id", Number, primary_key=True, autoincrement=True),
    sa.Column("form", sa.ForeignKey("forms.digest"), nullable=False, index=True),
    # SHA-256 of the text.
    sa.Column("text_digest", sa.String(64), nullable=False),
    sa.Column("schema_ref", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("document_id", sa.Text, nullable=False, index=True),
    sa.Column("job_id", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    # The whole label, as JSON.
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("ix_labels_schema_ref_text_digest_id", "schema_ref", "text_digest", "id"),
    # Ids are never given twice: a snapshot goes up to one.
    sqlite_autoincrement=True,
)

IS_ACTIVE = sa.text("state in ('queued', 'running')")

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
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
    # One active run a scope, however many schedulers there are.
    sa.Index("uq_runs_active_scope", "scope", unique=True, sqlite_where=IS_ACTIVE, postgresql_where=IS_ACTIVE),
)

run_steps = sa.Table(
    "run_steps",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("ended_at", sa.Double),
    # How much of it is done, 0..1.
    sa.Column("share", sa.Double, nullable=False, server_default="0"),
    sa.Column("detail", sa.Text, nullable=False, server_default="{}"),
)

run_lines = sa.Table(
    "run_lines",
    metadata,
    sa.Column("id", Number, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False, index=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
