"""Words that mean something elsewhere, and so name neither a resource nor a field."""

import builtins
import keyword

PYTHON_WORDS = frozenset(keyword.kwlist) | frozenset(
    name for name in dir(builtins) if name.isidentifier() and name.islower()
)
"""The keywords of Python and what it has built in."""

SQL_WORDS = frozenset(
    """
    add all alter analyse analyze and any array as asc asymmetric authorization autoincrement
    between binary both case cast check collate collation column commit concurrently constraint
    create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default deferrable delete desc distinct do drop else end escape
    except exists false fetch for foreign freeze from full grant group having if ilike in index
    initially inner insert intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null of offset on only or order outer over overlaps placing
    primary references returning right select session_user set similar some symmetric table
    tablesample then to trailing transaction true union unique update user using values variadic
    verbose when where window with
    """.split()  # noqa: SIM905 -- a table of words, without a quote around each
)
"""What PostgreSQL or SQLite takes for a name only in quotes."""

ROW_WORDS = frozenset({"id", "created_at", "created_by", "updated_at", "updated_by", "version"})
"""What rows have besides their fields, or could have."""

CLASS_WORDS = frozenset(
    """
    construct copy dict from_orm json mapped_column metadata model_computed_fields model_config
    model_construct model_copy model_dump model_dump_json model_extra model_fields
    model_fields_set model_json_schema model_parametrized_name model_post_init model_rebuild
    model_validate model_validate_json model_validate_strings parse_file parse_obj parse_raw
    registry schema schema_json type_annotation_map update_forward_refs validate
    """.split()  # noqa: SIM905 -- a table of words, without a quote around each
)
"""What models and schemas have already."""

QUERY_WORDS = frozenset(
    {"attributes", "cursor", "limit", "offset", "order_by", "q", "signature", "sort", "spec"}
)
"""What every list has a parameter or a method for: a field of this name cannot be filtered by."""

CODE_WORDS = frozenset(
    """
    add_row annotated any app anonymous as_user base body cached client create_app database
    depends enum etag_of fastapi field if_match limiter n not_blank page path pytest query request
    response router running self service session settings status values
    """.split()  # noqa: SIM905 -- a table of words, without a quote around each
)
"""What generated code calls something else."""

MODULES = frozenset({"models", "repository", "router", "schemas", "service"})
"""What the modules of a domain are called."""
