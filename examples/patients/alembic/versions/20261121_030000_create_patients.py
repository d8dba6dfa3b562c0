"""create patients

Revision ID: 7c1f0d5a2b94
Revises:
Create Date: 2026-11-21 03:00:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "7c1f0d5a2b94"
down_revision: str | None = None
branch_labels: str | tuple[str, ...] | None = None
depends_on: str | tuple[str, ...] | None = None


def upgrade() -> None:
    op.create_table(
        "patient",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", _text(200), nullable=False),
        sa.Column("patient_id", _text(200), nullable=False),
        sa.Column("name", _text(500), nullable=False),
        sa.Column("age", sa.Integer(), nullable=False),
        sa.Column("gender", _text(6), nullable=False),
        sa.Column("medical_condition", _text(), nullable=False),
        sa.Column("last_visit", _text(10), nullable=False),
        sa.Column("searched", _text(), nullable=False),
        sa.Column("canonical_id", _text(), nullable=False),
        sa.Column("canonical_patient_id", _text(), nullable=False),
        sa.Column("canonical_name", _text(), nullable=False),
        sa.Column("canonical_medical_condition", _text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("age BETWEEN 1 AND 150", name=op.f("ck_patient_age")),
        sa.CheckConstraint("gender IN ('Male', 'Female', 'Other')", name=op.f("ck_patient_gender")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_patient")),
        sa.UniqueConstraint("id", name=op.f("uq_patient_id")),
        sa.UniqueConstraint("patient_id", name=op.f("uq_patient_patient_id")),
    )
    op.create_index(op.f("ix_patient_last_visit_position"), "patient", ["last_visit", "position"])
    op.create_index(op.f("ix_patient_name_position"), "patient", ["name", "position"])


def downgrade() -> None:
    op.drop_index(op.f("ix_patient_name_position"), table_name="patient")
    op.drop_index(op.f("ix_patient_last_visit_position"), table_name="patient")
    op.drop_table("patient")


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Return a type of text that sorts by code point on every database."""
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")
