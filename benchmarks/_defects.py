"""The lines of the data layer's contract, each of which a test of the library shows.

A probe runs in an environment of the peers, which has nothing of the library; so this module needs
nothing but the standard library. `benchmarks._probing` runs the probes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_TESTS = "tests/integration/persistence/test_contract.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the contract: what it says, and the test of the library that shows it."""

    says: str
    test: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a peer was seen to do on a line of the contract."""

    line: str
    peer: str
    has_defect: bool
    observed: str
    versions: Mapping[str, str]
    """The peer's, and those of what it was run with."""


def _line(says: str, test: str) -> Line:
    return Line(says=says, test=f"{_TESTS}::{test}")


LINES: Mapping[str, Line] = {
    "failed_commit": _line(
        "A commit that fails is answered with 409, and the next request works",
        "test_a_constraint_that_fails_at_the_commit_is_a_conflict_and_hurts_nobody_else",
    ),
    "visible_201": _line(
        "What a 201 announces is visible to others before the client reads it",
        "test_what_was_answered_with_201_is_seen_by_every_other_connection",
    ),
    "stale_version": _line(
        "A stale version is refused with 412 or 409, and overwrites nothing",
        "test_a_stale_version_overwrites_nothing",
    ),
    "soft_delete": _line(
        "What is deleted softly is gone from reads, from any() and from exists()",
        "test_exists_does_not_see_what_is_softly_deleted",
    ),
    "keyset_walk": _line(
        "A walk by cursor gives every row once, in order, with ties and NULLs",
        "test_a_walk_by_cursor_finds_every_row_once_also_with_ties_and_without_values",
    ),
    "forged_cursor": _line(
        "A forged cursor, or that of another list, is answered with 400",
        "test_a_cursor_that_is_forged_or_of_another_list_is_refused",
    ),
    "sort_names": _line(
        "Sorting by a secret column, or by what is none, is answered with 422",
        "test_what_is_not_offered_is_refused",
    ),
    "page_size": _line(
        "A page above the maximum is answered with 422",
        "test_what_is_not_offered_is_refused",
    ),
    "unknown_parameter": _line(
        "An unknown query parameter is answered with 422",
        "test_what_is_not_offered_is_refused",
    ),
    "literal_search": _line(
        "A search for % or _ finds those characters only",
        "test_wildcards_are_characters_like_any_other",
    ),
    "malformed_filter": _line(
        "A malformed filter never widens the result",
        "test_what_is_malformed_never_finds_more",
    ),
    "unconditioned_delete": _line(
        "Deleting without a condition is refused",
        "test_all_rows_are_deleted_or_updated_only_when_that_is_said",
    ),
    "total_past_the_end": _line(
        "The total is right on a page beyond the last one",
        "test_the_total_is_right_beyond_the_last_page",
    ),
    "statement_budget": _line(
        "No operation needs more statements than it must",
        "test_each_operation_takes_no_more_statements_than_it_must",
    ),
    "lost_updates": _line(
        "5 concurrent increments on SQLite give 5, without an error",
        "test_five_increments_at_once_count_to_five",
    ),
    "unavailable": _line(
        "A lock, a timeout or an outage is answered with 503 or 504, not as a conflict",
        "test_a_lock_that_is_not_had_is_no_conflict",
    ),
    "leaking_options": _line(
        "The options of one call do not reach the next",
        "test_options_of_one_call_do_not_reach_the_next",
    ),
    "constraint_names": _line(
        "Two unique constraints that begin with the same column get names of their own",
        "test_unique_keys_that_begin_alike_have_names_of_their_own",
    ),
    "process_exit": _line(
        "The process ends once the application has stopped",
        "test_a_process_ends_when_its_database_is_disposed_of",
    ),
    "typing": Line(
        says="select(Model) passes mypy --strict and pyright through the public API",
        test="tests/typing/subclasses.py",
    ),
}
