"""What a resource is, before any file of it is written: its names and its fields.

These are plain values. They say nothing of files, and are made by whoever knows the fields: the
words of a command line (`grammar`), a table of a database, a schema of an OpenAPI document. What
makes files of them (`rendering`) takes them from anywhere.
"""

from dataclasses import dataclass
from enum import StrEnum

from fastapi_baseline.scaffolding.words import SQL_WORDS

ID = "id"
"""The attribute that each resource is found by."""
STAMPS = ("created_at", "updated_at")
"""The attributes that are stamped if a resource has timestamps."""
VERSION = "version"
"""The attribute that is counted if a resource is versioned."""


class FieldType(StrEnum):
    """The types that a field can have, by the word that the command line has for each."""

    STRING = "string"
    """A line of at most `max_length` characters."""
    TEXT = "text"
    """Any number of lines."""
    INTEGER = "integer"
    """32 bits."""
    BIGINT = "bigint"
    """64 bits."""
    NUMBER = "number"
    """A floating-point number."""
    DECIMAL = "decimal"
    """An exact number of `precision` digits, `scale` of them after the point."""
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    """A moment, stored in UTC."""
    UUID = "uuid"
    EMAIL = "email"
    URL = "url"
    JSON = "json"
    """An object of JSON: names and values."""
    ENUM = "enum"
    """One of `choices`."""
    REFERENCE = "ref"
    """The identifier of another resource, which is called `reference`."""


class KeyType(StrEnum):
    """What a resource is identified by: `uuid` unless its table exists already."""

    UUID = "uuid"
    """A UUID of version 7, made by the service."""
    INTEGER = "integer"
    """A number of 32 bits, counted by the database."""
    BIGINT = "bigint"
    """A number of 64 bits, counted by the database."""
    STRING = "string"
    """A text, given by whoever adds one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpecification:
    """One field of a resource; what its type does not have is left at its default."""

    name: str
    """In snake case, without the `_id` of a reference: `customer`, not `customer_id`."""
    type: FieldType
    is_optional: bool = False
    is_unique: bool = False
    is_indexed: bool = False
    max_length: int | None = None
    """How many characters a string, an e-mail address or a URL may have."""
    precision: int | None = None
    scale: int | None = None
    choices: tuple[str, ...] = ()
    """The values of an enumeration, as clients write them."""
    enum_name: str | None = None
    """What the enumeration is called in a database that has it already."""
    reference: str | None = None
    """The resource that is referred to, by its singular name: `customer`."""
    referenced_column: str | None = None
    """The column that is referred to, if it is not the key of that resource."""
    column: str | None = None
    """The column's name in an existing table, if it is not that of the attribute."""

    @property
    def attribute(self) -> str:
        """Return what the model, the schemas and clients call it: `customer_id` for a reference."""
        return f"{self.name}_id" if self.type is FieldType.REFERENCE else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSpecification:
    """One resource: its names, its fields, and what every row of it has besides."""

    name: str
    """In snake case, singular: `order_line`."""
    plural: str
    """In snake case: `order_lines`; the package of its domain, and its path with dashes."""
    fields: tuple[FieldSpecification, ...]
    unique_together: tuple[tuple[str, ...], ...] = ()
    """The columns whose values are unique only together."""
    table: str | None = None
    """The name of a table that exists already: it is kept, and no migration makes it."""
    key: KeyType = KeyType.UUID
    key_column: str | None = None
    """The column of the key in an existing table, if that is not `id`."""
    key_max_length: int | None = None
    """How many characters a key may have that is a text."""
    has_timestamps: bool = True
    """Whether it has `created_at` and `updated_at`."""
    is_versioned: bool = True
    """Whether it has `version`, so that a change asks for the version that was seen."""

    @property
    def model(self) -> str:
        """Return the name of the class of the model: `OrderLine`."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def table_name(self) -> str:
        """Return the name of the table: that which exists, or the singular name.

        A word of SQL would need quotes wherever people write it, so it is the plural then.
        """
        return self.table or (self.plural if self.name in SQL_WORDS else self.name)

    @property
    def path(self) -> str:
        """Return the path it is served at: `/order-lines`."""
        return f"/{self.plural.replace('_', '-')}"

    @property
    def references(self) -> tuple[str, ...]:
        """Return the names of the resources it refers to, each once, in order."""
        found = (field.reference for field in self.fields if field.reference is not None)
        return tuple(dict.fromkeys(found))
