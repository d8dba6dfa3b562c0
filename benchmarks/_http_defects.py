"""The lines of the HTTP stack's contract, each of which a test of the library shows."""

from collections.abc import Mapping

from benchmarks._defects import Line

_STACK = "tests/api/test_stack_contract.py"
_OPERATIONS = "tests/api/test_operations_contract.py"
_LIFECYCLE = "tests/integration/lifecycle/test_shutdown.py"
_OBSERVABILITY = "tests/integration/observability"
_PROXIES = "tests/unit/middleware/test_trusted_proxies.py"


def _line(says: str, test: str, *, file: str = _STACK) -> Line:
    return Line(says=says, test=f"{file}::{test}")


LINES: Mapping[str, Line] = {
    "id_of_a_500": _line(
        "An unexpected error is answered with the request's id",
        "test_an_unexpected_error_has_the_headers_of_any_other_answer",
    ),
    "headers_of_a_500": _line(
        "An unexpected error is answered with the security headers",
        "test_an_unexpected_error_has_the_headers_of_any_other_answer",
    ),
    "cors_of_a_500": _line(
        "A page of an allowed origin can read the answer of an unexpected error",
        "test_an_unexpected_error_has_the_headers_of_any_other_answer",
    ),
    "refused_socket": _line(
        "The refusal of a WebSocket has the request's id and the security headers",
        "test_a_refused_websocket_has_the_headers_of_any_other_answer",
    ),
    "context_of_a_request": _line(
        "What a handler adds to the context stands in the access line",
        "test_what_a_handler_adds_to_the_context_stands_in_the_access_line",
    ),
    "streamed_size": _line(
        "The size of a streamed body is counted, whatever was sent before it",
        "test_the_size_of_a_streamed_body_is_counted",
    ),
    "mounted_route": _line(
        "The route of a mounted application is recorded whole",
        "test_routes_are_recorded_as_whole_templates",
    ),
    "included_route": _line(
        "The route of an included router is recorded whole",
        "test_routes_are_recorded_as_whole_templates",
    ),
    "closed_methods": _line(
        "A made-up method makes no time series",
        "test_made_up_methods_and_paths_make_no_time_series",
    ),
    "unmatched_paths": _line(
        "A path without a route makes no time series",
        "test_made_up_methods_and_paths_make_no_time_series",
    ),
    "scrape_off_the_loop": _line(
        "Metrics are collected in a thread, beside the requests",
        "test_metrics_are_collected_in_a_thread",
    ),
    "metric_files": _line(
        "Workers that are killed and started again leave no files of metrics behind",
        "test_loses_no_count_and_leaves_no_file_when_workers_are_killed",
        file=f"{_OBSERVABILITY}/test_workers.py",
    ),
    "several_processes": _line(
        "What is measured with the OpenTelemetry API is exported for several processes",
        "test_loses_no_count_and_leaves_no_file_when_workers_are_killed",
        file=f"{_OBSERVABILITY}/test_workers.py",
    ),
    "traced_statements": _line(
        "A statement of SQLAlchemy 2.1 is a span",
        "test_what_writes_and_what_reads_is_traced_once",
        file=f"{_OBSERVABILITY}/test_tracing_databases.py",
    ),
    "secrets_in_spans": _line(
        "A token in a query does not reach a span",
        "test_secrets_in_a_url_do_not_leave_the_process",
        file=f"{_OBSERVABILITY}/test_tracing.py",
    ),
    "tag_of_an_encoding": _line(
        "A strong ETag differs between the encodings of a body",
        "test_strong_tags_differ_between_encodings",
    ),
    "refused_encoding": _line(
        "An encoding of weight 0 is not used",
        "test_an_encoding_of_weight_zero_is_not_used",
    ),
    "vary_always": _line(
        "Vary names Accept-Encoding on every answer that could be encoded",
        "test_vary_is_sent_also_with_what_is_not_compressed",
    ),
    "no_transform": _line(
        "What must not be transformed is not compressed",
        "test_what_must_stay_as_it_is_is_not_compressed",
    ),
    "event_stream": _line(
        "An event stream is not compressed",
        "test_what_must_stay_as_it_is_is_not_compressed",
    ),
    "conditional_post": _line(
        "A POST is never answered with 304",
        "test_a_post_is_never_answered_with_304",
    ),
    "tag_forms": _line(
        "If-None-Match takes lists, * and weak tags",
        "test_if_none_match_takes_lists_stars_and_weak_tags",
    ),
    "tag_syntax": _line(
        "A tag is written in quotes, as RFC 9110 says",
        "test_tags_are_made_in_quotes",
    ),
    "tagged_stream": _line(
        "A stream passes what makes tags unchanged",
        "test_a_stream_passes_what_makes_tags_unchanged",
    ),
    "tagged_error": _line(
        "An error is never answered with 304",
        "test_an_error_is_never_answered_with_304",
    ),
    "key_at_once": _line(
        "Of requests with one key that come at once, one runs",
        "test_of_requests_with_one_key_at_once_one_runs",
        file=_OPERATIONS,
    ),
    "key_of_another": _line(
        "A key answers only the caller who sent it first",
        "test_a_key_answers_only_who_sent_it_first",
        file=_OPERATIONS,
    ),
    "key_with_another_body": _line(
        "A key that comes with another body is refused with 422",
        "test_a_key_with_another_body_is_refused",
        file=_OPERATIONS,
    ),
    "key_on_another_route": _line(
        "A key on another route does not get the answer of the first",
        "test_a_key_on_another_route_does_not_get_the_first_answer",
        file=_OPERATIONS,
    ),
    "key_of_a_refusal": _line(
        "Answers of 5xx and 429 are not kept for a key",
        "test_refusals_that_pass_are_not_kept",
        file=_OPERATIONS,
    ),
    "key_of_a_crash": _line(
        "A key is free again after its request has failed",
        "test_a_key_is_free_after_a_crash",
        file=_OPERATIONS,
    ),
    "probe_storm": _line(
        "Probes that come at once do not reach the database at once",
        "test_a_storm_of_probes_does_not_reach_the_check",
        file=_OPERATIONS,
    ),
    "hanging_check": _line(
        "A check that hangs does not keep a probe waiting",
        "test_a_check_that_hangs_does_not_keep_a_probe_waiting",
        file=_OPERATIONS,
    ),
    "late_stream": _line(
        "A stream that began in time goes on after the deadline",
        "test_a_stream_that_began_in_time_goes_on",
        file=_OPERATIONS,
    ),
    "forwarded_chain": _line(
        "The client is the rightmost address that no trusted proxy added",
        "test_the_client_is_the_rightmost_that_is_not_trusted",
        file=_OPERATIONS,
    ),
    "forwarded_standard": _line(
        "The Forwarded header of RFC 7239 is understood",
        "test_reads_the_standard_header_if_told_to",
        file=_PROXIES,
    ),
    "forwarded_by_a_stranger": _line(
        "Headers of proxies are taken from what a stranger sends",
        "test_headers_of_proxies_are_taken_from_strangers",
        file=_OPERATIONS,
    ),
    "drain": _line(
        "A server that stops says that it is not ready before it refuses connections",
        "test_answers_all_that_is_under_way_and_says_before_that_it_will_close",
        file=_LIFECYCLE,
    ),
    "endless_stream": _line(
        "A stream without an end does not keep a server from stopping",
        "test_a_server_that_would_wait_for_ever_has_an_end",
        file=_LIFECYCLE,
    ),
}
