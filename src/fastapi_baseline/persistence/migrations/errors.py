"""What stops a migration.

MigrationError                a migration failed, or cannot be found or written
├── NotUpToDateError          a migration is not applied yet
├── NoChangesError            there is nothing to write a migration for
├── ModelsDifferError         a migration is missing
├── MultipleHeadsError        two migrations follow the same one
└── UnknownRevisionError      there is no such migration
"""

from fastapi_baseline.errors import BaselineError


class MigrationError(BaselineError):
    """A migration failed, or cannot be found or written; the message is for its developer."""

    code = "migration_failed"


class NotUpToDateError(MigrationError):
    """The database is behind the migrations."""

    code = "database_not_up_to_date"
    default_message = "The database is not up to date. Apply the migrations: baseline db upgrade"


class NoChangesError(MigrationError):
    """The models and the database are the same, so there is nothing to migrate."""

    code = "no_changes"
    default_message = "No migration was written: the models and the database are the same."


class ModelsDifferError(MigrationError):
    """The models have changed since the last migration was written."""

    code = "models_differ"


class MultipleHeadsError(MigrationError):
    """Two migrations follow the same one, so their order is not known."""

    code = "multiple_heads"


class UnknownRevisionError(MigrationError):
    """There is no migration with this identifier."""

    code = "unknown_revision"
