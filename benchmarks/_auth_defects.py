"""The attacks that the contract of authentication is about, each of which a test of the library tries.

Their names are those that the tests have: `J` for tokens, `B` for browsers and sessions, `S` for
what a service keeps of users.
"""

from collections.abc import Mapping

from benchmarks._defects import Line

_TOKENS = "tests/api/auth/test_token_attacks.py"
_SESSIONS = "tests/api/auth/test_session_attacks.py"
_USERS = "tests/api/auth/test_user_attacks.py"
_ROUTES = "tests/api/auth/test_every_route.py"


def _line(says: str, test: str, *, file: str = _TOKENS) -> Line:
    return Line(says=says, test=f"{file}::{test}")


LINES: Mapping[str, Line] = {
    "j01": _line(
        "J01: A token without a signature is refused",
        "test_j01_a_token_that_nobody_signed_is_refused",
    ),
    "j02": _line(
        "J02: What is published is no secret to sign with",
        "test_j02_a_public_key_is_no_secret_of_an_hmac",
    ),
    "j03": _line(
        "J03: A secret among the published keys is no key",
        "test_j03_a_symmetric_key_that_is_published_signs_nothing",
    ),
    "j04": _line(
        "J04: Only the algorithms count that are named",
        "test_j04_an_algorithm_that_is_not_accepted_is_refused",
    ),
    "j05": _line(
        "J05: A key that comes with the token is not trusted",
        "test_j05_a_key_in_the_header_is_not_trusted",
    ),
    "j06": _line(
        "J06: A key is fetched from nowhere that the token names",
        "test_j06_nothing_in_the_header_makes_the_service_ask_somebody",
    ),
    "j07": _line(
        "J07: A name of a key is a name, whatever it looks like",
        "test_j07_an_identifier_of_a_key_is_only_compared",
    ),
    "j08": _line(
        "J08: A signature that was altered is refused",
        "test_j08_a_signature_is_taken_to_the_letter",
    ),
    "j09": _line(
        "J09: Only the compact form, without extensions, is a token",
        "test_j09_an_extension_that_is_critical_is_not_understood",
    ),
    "j10": _line(
        "J10: A token has an end, and is used between its times",
        "test_j10_a_time_that_is_wrong_is_refused",
    ),
    "j11": _line(
        "J11: A token is for this service, to the letter",
        "test_j11_a_token_for_somebody_else_is_refused",
    ),
    "j12": _line(
        "J12: A token is of an issuer that is trusted, to the letter",
        "test_j12_an_issuer_is_compared_to_the_letter",
    ),
    "j13": _line(
        "J13: What was signed for another purpose is no access token",
        "test_j13_a_token_of_another_kind_is_refused",
    ),
    "j14": _line(
        "J14: A token that may do less is answered with 403",
        "test_j14_a_token_without_the_scope_is_known_and_not_let_in",
    ),
    "j15": _line(
        "J15: A scope is compared as a whole",
        "test_j15_a_scope_is_one_word_and_is_compared_to_the_letter",
    ),
    "j16": _line(
        "J16: Nobody gives scopes and roles to themselves",
        "test_j16_what_is_not_signed_grants_nothing",
    ),
    "j17": _line(
        "J17: A token in a URL is not looked at",
        "test_j17_a_token_in_the_url_or_in_a_form_is_ignored",
    ),
    "j18": _line(
        "J18: An odd header is refused, and makes no error",
        "test_j18_a_strange_header_is_never_an_error_of_the_service",
    ),
    "j19": _line(
        "J19: Keys that nobody has cause one fetch",
        "test_j19_a_storm_of_unknown_keys_asks_once_in_a_while",
    ),
    "j20": _line(
        "J20: One bad key does not take the others with it",
        "test_j20_a_key_that_is_bad_takes_no_other_with_it",
    ),
    "j21": _line(
        "J21: A new key counts at once, and one that is gone does not",
        "test_j21_a_new_key_is_accepted_at_once",
    ),
    "j22": _line(
        "J22: Clocks may differ, by as much as is set",
        "test_j22_clocks_may_differ_by_so_much_to_the_second",
    ),
    "j23": _line(
        "J23: An odd payload is refused, and makes no error",
        "test_j23_a_claim_of_a_wrong_type_is_refused",
    ),
    "j24": _line(
        "J24: What an issuer says of an opaque token is checked",
        "test_j24_what_the_issuer_does_not_vouch_for_is_refused",
    ),
    "j25": _line(
        "J25: A token that is bound to a key is none for whoever has it",
        "test_j25_a_token_that_is_bound_to_a_key_is_not_taken_without_its_proof",
    ),
    "j26": _line(
        "J26: A route that was forgotten is not public",
        "test_a_route_that_was_forgotten_is_found",
        file=_ROUTES,
    ),
    "b11": _line(
        "B11: Signing in again ends the session that the browser had",
        "test_b11_signing_in_again_gives_a_new_secret_and_ends_the_old_one",
        file=_SESSIONS,
    ),
    "b12": _line(
        "B12: The cookie is of this host alone",
        "test_b12_the_cookie_has_all_flags_and_no_domain",
        file=_SESSIONS,
    ),
    "b12-kept": _line(
        "B12: What is kept of a session does not make its cookie",
        "test_b12_what_is_kept_does_not_make_a_cookie",
        file=_SESSIONS,
    ),
    "b13": _line(
        "B13: Signing out, a new password and disabling end sessions",
        "test_b13_disabling_a_user_ends_all_their_sessions",
        file=_SESSIONS,
    ),
    "b14": _line(
        "B14: A session that nobody uses ends",
        "test_b14_an_idle_session_ends_to_the_microsecond",
        file=_SESSIONS,
    ),
    "b15": _line(
        "B15: Other sites change nothing",
        "test_b15_other_sites_may_change_nothing",
        file=_SESSIONS,
    ),
    "b16": _line(
        "B16: No origin is reflected with credentials",
        "test_b16_any_origin_with_credentials_refuses_the_start",
        file=_SESSIONS,
    ),
    "s21": _line(
        "S21: Nobody learns who is a user",
        "test_s21_asking_for_a_letter_tells_nothing_of_accounts",
        file=_USERS,
    ),
    "s21-size": _line(
        "S21: A password that is too long is not hashed",
        "test_s21_odd_passwords_are_refused_and_harm_nobody",
        file=_USERS,
    ),
    "s21-rules": _line(
        "S21: A password that is guessed first is not taken",
        "test_what_is_guessed_first_is_common",
        file="tests/unit/auth/users/test_blocklist.py",
    ),
    "s22": _line(
        "S22: Guessing is limited",
        "test_s22_an_account_has_ten_guesses_wherever_they_come_from",
        file=_USERS,
    ),
    "s23": _line(
        "S23: A link works once, and not after the address has changed",
        "test_s23_a_link_dies_when_the_account_changes",
        file=_USERS,
    ),
    "s24": _line(
        "S24: Nobody gives roles to themselves",
        "test_s24_who_registers_gets_no_more_than_others",
        file=_USERS,
    ),
    "s25": _line(
        "S25: Who is disabled or deleted is out at once",
        "test_s25_who_is_disabled_or_deleted_is_out_at_once",
        file=_USERS,
    ),
    "s26": _line(
        "S26: Administrators set no passwords",
        "test_s26_an_administrator_cannot_set_a_password",
        file=_USERS,
    ),
    "s26-secrets": _line(
        "S26: No default secret starts in production",
        "test_s26_default_secrets_refuse_the_start",
        file=_USERS,
    ),
    "s27": _line(
        "S27: Nobody sees or ends the sessions of others, and everybody their own",
        "test_s27_nobody_sees_or_ends_the_sessions_of_others",
        file=_SESSIONS,
    ),
}
