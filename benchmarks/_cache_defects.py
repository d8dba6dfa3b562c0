"""The lines of the contract of caching, each of which a test of the library shows."""

from collections.abc import Mapping

from benchmarks._defects import Line

_TESTS = "tests/api/test_fastapi_cache_defects.py"


def _line(says: str, test: str, *, file: str = _TESTS) -> Line:
    return Line(says=says, test=f"{file}::{test}")


LINES: Mapping[str, Line] = {
    "handlers_of_a_factory": _line(
        "Handlers that one function has made have entries of their own",
        "test_c1_handlers_that_one_function_has_made_have_entries_of_their_own",
    ),
    "entries_of_callers": _line(
        "A caller is never given what was made for another one",
        "test_c2_a_caller_is_never_given_what_was_made_for_another",
    ),
    "entries_of_nobody": _line(
        "Who has no credential is never given what was made for a caller",
        "test_nobody_is_given_what_is_somebody_elses",
        file="tests/api/test_cached_callers.py",
    ),
    "caches_downstream": _line(
        "Caches between the service and a caller are told that an answer is the caller's",
        "test_c2_caches_in_between_are_told_that_it_is_the_callers",
    ),
    "authorization_first": _line(
        "Who may not ask is refused before anything is looked up",
        "test_2_5_auth_comes_before_anything_is_looked_up",
    ),
    "query_of_the_request": _line(
        "What is read from the request's query makes an entry of its own",
        "test_c3_what_is_read_from_the_query_makes_an_entry_of_its_own",
    ),
    "dependencies_in_keys": _line(
        "Objects of dependencies do not make entries of their own",
        "test_c4_objects_of_dependencies_make_no_entries_of_their_own",
    ),
    "errors_are_not_kept": _line(
        "An error is not kept",
        "test_c5_an_error_is_not_kept",
    ),
    "status_and_headers": _line(
        "A hit has the status and the headers of the miss",
        "test_c5_what_a_handler_sets_beside_its_value_is_kept",
    ),
    "streams": _line(
        "A stream passes unchanged",
        "test_c5_a_stream_passes_unchanged",
    ),
    "event_streams": _line(
        "Events are sent as they come",
        "test_2_5_events_are_sent_as_they_come",
    ),
    "filtered_fields": _line(
        "What `response_model` leaves out is not kept",
        "test_c6_what_the_response_model_leaves_out_is_not_kept",
    ),
    "annotated_answers": _line(
        "A cached handler still answers no more than its annotation says",
        "test_c6_a_cached_handler_answers_no_more_than_its_annotation_says",
    ),
    "one_of_many": _line(
        "Of requests that come at once, one runs",
        "test_c7_of_requests_that_come_at_once_one_runs",
    ),
    "caller_who_gives_up": _line(
        "A caller who gives up harms no other",
        "test_2_5_gives_up_and_harms_no_other",
    ),
    "context_of_a_caller": _line(
        "Who waits is not answered in the name of another caller",
        "test_2_5_context_of_another_caller_is_never_the_one_that_is_answered_in",
    ),
    "tags_of_processes": _line(
        "The tag of a body is the same in every process",
        "test_c8_the_tag_of_a_body_is_the_same_in_every_process",
    ),
    "syntax_of_tags": _line(
        "A tag is written in quotes, as RFC 9110 says",
        "test_c8_a_tag_is_strong_and_in_quotes_and_that_of_the_bytes",
    ),
    "forms_of_tags": _line(
        "If-None-Match takes lists, * and weak tags",
        "test_c9_if_none_match_takes_lists_and_stars_and_weak_tags",
    ),
    "revalidation": _line(
        "A reload of what has not changed is answered with 304",
        "test_c9_if_none_match_takes_lists_and_stars_and_weak_tags",
    ),
    "tags_of_responses": _line(
        "A response of the handler's own gets a tag, too",
        "test_c8_a_tag_is_strong_and_in_quotes_and_that_of_the_bytes",
    ),
    "conditional_post": _line(
        "A POST is never answered with 304",
        "test_2_5_post_is_never_answered_with_304",
    ),
    "directives_of_requests": _line(
        "A directive of a request counts also beside others",
        "test_c10_a_directive_of_a_request_counts_also_beside_others",
    ),
    "ages_of_answers": _line(
        "The lifetime of an answer is a number",
        "test_c11_the_lifetime_of_an_answer_is_a_number",
    ),
    "age_of_a_hit": _line(
        "Age is the time since an answer was made",
        "test_2_5_age_is_the_time_since_an_answer_was_made",
    ),
    "status_of_a_hit": _line(
        "A hit says that it is one, as RFC 9211 says, and its age",
        "test_2_5_age_is_the_time_since_an_answer_was_made",
    ),
    "one_key_cleared": _line(
        "To clear one key leaves the others",
        "test_c12_to_clear_one_key_leaves_the_others",
    ),
    "commands_of_a_clear": _line(
        "Redis is never searched with KEYS",
        "test_c13_redis_is_never_searched_with_keys_or_told_what_a_name_says",
    ),
    "names_in_scripts": _line(
        "A name of a namespace is never run as a script",
        "test_c13_redis_is_never_searched_with_keys_or_told_what_a_name_says",
    ),
    "purged_by_a_client": _line(
        "A client cannot clear what is kept",
        "test_2_5_purge_is_not_for_clients",
    ),
    "types_of_values": _line(
        "A value comes back with its type",
        "test_c14_a_value_comes_back_with_its_type",
    ),
    "any_payload": _line(
        "Any payload comes back as it was",
        "test_c14_any_payload_comes_back_as_it_was",
    ),
    "stored_code": _line(
        "What stands in Redis is never run",
        "test_c15_what_stands_in_redis_is_never_run",
    ),
    "signatures": _line(
        "What is kept does not say by itself how it is checked",
        "test_c15_what_stands_in_redis_is_never_run",
    ),
    "waits_for_redis": _line(
        "A Redis that hangs is not waited for again and again",
        "test_c16_a_redis_that_hangs_is_not_waited_for_again_and_again",
    ),
    "lines_of_an_outage": _line(
        "An outage makes one line of the log, not one for each request",
        "test_the_log_has_a_line_for_each_change_and_none_for_each_failure",
        file="tests/unit/redis/test_guard.py",
    ),
    "bounded_memory": _line(
        "What is kept in memory is bounded, and each cache has its own",
        "test_c17_what_is_kept_in_memory_is_bounded_and_each_cache_has_its_own",
    ),
    "made_again": _line(
        "An application that is made anew has the settings it is made with",
        "test_c18_an_application_that_is_made_anew_has_the_settings_it_is_made_with",
    ),
    "work_of_a_hit": _line(
        "A hit is not validated and serialised again",
        "test_c19_a_hit_is_neither_validated_nor_serialised_again",
    ),
    "commands_of_a_hit": _line(
        "A hit takes no transaction of Redis",
        "test_c19_a_hit_takes_one_round_trip_and_no_transaction",
    ),
    "pure_layers": _line(
        "No layer is a BaseHTTPMiddleware",
        "test_c19_no_layer_is_a_base_http_middleware",
    ),
    "stale_answers": _line(
        "What is stale is served when what makes it fails",
        "test_c20_what_is_stale_is_served_when_what_makes_it_fails",
    ),
    "entries_by_tag": _line(
        "Entries are forgotten together by a tag",
        "test_c20_entries_are_forgotten_together_by_a_tag",
    ),
    "sync_handlers": _line(
        "A handler that is no coroutine stays what it is",
        "test_c20_a_handler_that_is_no_coroutine_stays_what_it_is",
    ),
    "head_of_a_hit": _line(
        "A HEAD is answered by what a GET has kept",
        "test_c20_a_head_is_answered_by_what_a_get_has_kept",
    ),
    "what_is_imported": _line(
        "What is imported is what is asked for",
        "test_what_a_library_imports_is_asked_for",
        file="tests/meta/test_requirements.py",
    ),
}
