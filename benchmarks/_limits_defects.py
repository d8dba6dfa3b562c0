"""The lines of the contract of rate limiting, each of which a test of the library shows."""

from collections.abc import Mapping

from benchmarks._defects import Line

_DECLARED = "tests/api/test_slowapi_defects.py"
_MEMORY = "tests/unit/rate_limiting"
_STORES = "tests/integration/rate_limiting"


def _line(says: str, test: str, *, file: str = _DECLARED) -> Line:
    return Line(says=says, test=f"{file}::{test}")


LINES: Mapping[str, Line] = {
    "included_routes": _line(
        "A default limit holds for the routes of an included router",
        "test_s1_routes_of_included_routers_are_limited",
    ),
    "unmatched_requests": _line(
        "What no route answers is limited, and so is what is mounted",
        "test_s8_what_no_route_answers_is_limited",
    ),
    "cost_by_routes": _line(
        "A limit costs the same however many routes there are",
        "test_s7_a_limit_costs_the_same_however_many_routes_there_are",
    ),
    "plain_handlers": _line(
        "A handler is limited without a parameter for the request",
        "test_s9_a_handler_needs_no_request_and_no_response",
    ),
    "headers_of_plain_handlers": _line(
        "A handler gets headers without a parameter for the response",
        "test_s9_a_handler_needs_no_request_and_no_response",
    ),
    "handlers_of_a_factory": _line(
        "Handlers that one function has made have counters of their own",
        "test_s10_handlers_of_one_factory_count_for_themselves",
    ),
    "exempt_handler_of_a_factory": _line(
        "To exempt one of them does not exempt the others",
        "test_s10_to_exempt_one_of_them_does_not_exempt_the_others",
    ),
    "path_parameters": _line(
        "Values in the path share the counter of their route",
        "test_s11_values_in_the_path_share_the_counter_of_their_route",
    ),
    "websockets": _line(
        "A WebSocket can be limited",
        "test_s12_a_websocket_can_be_limited",
    ),
    "requests_that_are_let_through": _line(
        "A request that is not checked is answered",
        "test_s13_a_request_that_is_not_checked_is_answered",
    ),
    "request_of_a_limit": _line(
        "A key and a plan may be looked up without blocking, by the request",
        "test_s19_a_key_and_a_plan_may_be_looked_up_without_blocking",
    ),
    "limit_of_a_caller": _line(
        "One caller cannot use up the limit of another",
        "test_2_3_one_caller_cannot_use_up_the_limit_of_another",
    ),
    "address_of_a_client": _line(
        "A client cannot choose the address that it is limited by",
        "test_s18_a_client_cannot_choose_its_address",
    ),
    "loop_while_redis_hangs": _line(
        "A Redis that hangs does not stop the event loop",
        "test_s2_a_redis_that_hangs_does_not_stop_the_loop",
    ),
    "answers_while_redis_is_down": _line(
        "A Redis that is down makes no errors",
        "test_s3_a_redis_that_is_down_makes_no_errors",
    ),
    "outage_within_a_request": _line(
        "A Redis that goes down within a request makes no error",
        "test_s4_a_redis_that_goes_down_within_a_request_makes_no_error",
    ),
    "round_trips": _line(
        "A request with headers takes one round trip",
        "test_s16_a_request_with_headers_takes_one_round_trip",
    ),
    "decision_in_one_round_trip": _line(
        "A decision comes with what is left and until when",
        "test_a_decision_is_one_command",
        file=f"{_STORES}/test_redis.py",
    ),
    "all_or_nothing": _line(
        "A request that is refused uses up no other limit",
        "test_s14_a_request_that_is_refused_uses_up_no_other_limit",
    ),
    "messages_of_a_stream": _line(
        "A stream begins once, and passes unchanged",
        "test_s5_a_stream_begins_once_and_passes_unchanged",
    ),
    "pure_layers": _line(
        "No layer is a BaseHTTPMiddleware",
        "test_s6_no_layer_is_a_base_http_middleware",
    ),
    "retry_after_of_a_success": _line(
        "Retry-After is sent only with a refusal",
        "test_s15_retry_after_is_sent_only_with_a_refusal",
    ),
    "retry_after_of_a_refusal": _line(
        "A refusal says when to come again",
        "test_s15_retry_after_is_sent_only_with_a_refusal",
    ),
    "forms_of_headers": _line(
        "Times are whole seconds, and dates have the form of HTTP",
        "test_s15_times_are_whole_seconds",
    ),
    "headers_of_an_error": _line(
        "An error has the headers of any other answer",
        "test_s15_an_error_has_the_headers_of_any_other_answer",
    ),
    "headers_once": _line(
        "No header is sent twice",
        "test_s15_no_header_is_sent_twice",
    ),
    "standard_headers": _line(
        "The fields are those of the IETF's draft",
        "test_s15_the_fields_are_those_of_the_draft",
    ),
    "problem_of_a_refusal": _line(
        "A refusal is a problem of RFC 9457 that names the violated policies",
        "test_s15_a_refusal_is_a_problem_that_names_the_violated_policies",
    ),
    "options_of_one_limiter": _line(
        "The options of one limiter do not reach the next",
        "test_s17_the_options_of_one_limiter_do_not_reach_the_next",
    ),
    "settings_of_the_process": _line(
        "Nothing is read from files or variables but the settings",
        "test_s20_nothing_is_read_from_files_or_variables",
    ),
    "malformed_limits": _line(
        "A limit that is none is refused where it is declared",
        "test_s20_a_limit_that_is_none_is_refused_where_it_is_declared",
    ),
    "limits_that_only_count": _line(
        "A limit can be tried out, given back and observed",
        "test_s21_a_limit_can_be_tried_out_and_observed",
    ),
    "bursts_and_even_rates": _line(
        "A burst is let through, and refilled evenly",
        "test_never_grants_more_than_the_burst_and_what_came_back",
        file=f"{_MEMORY}/test_memory.py",
    ),
    "bytes_of_a_key": _line(
        "A key in Redis has the same size however often it was hit",
        "test_a_counter_takes_48_bytes_with_the_shortest_name",
        file=f"{_STORES}/test_redis.py",
    ),
    "clock_of_the_server": _line(
        "The clocks of the processes do not count",
        "test_time_is_what_the_server_says",
        file=f"{_STORES}/test_redis.py",
    ),
    "cost_by_live_keys": _line(
        "A decision costs the same however many keys there are",
        "test_a_decision_takes_as_many_steps_however_many_callers_there_are",
        file=f"{_MEMORY}/test_memory_steps.py",
    ),
    "bounded_keys": _line(
        "The keys in memory are bounded",
        "test_forgets_whom_it_has_not_seen_for_longest_when_it_is_full",
        file=f"{_MEMORY}/test_memory.py",
    ),
    "reset_without_keys": _line(
        "To forget a caller, Redis is not searched with KEYS",
        "test_forgets_whom_it_is_told_to",
        file=f"{_STORES}/test_stores.py",
    ),
    "current_redis": _line(
        "The current release of redis-py can be installed beside it",
        "test_no_extra_is_asked_for_that_would_hold_redis_back",
        file="tests/meta/test_requirements.py",
    ),
}
