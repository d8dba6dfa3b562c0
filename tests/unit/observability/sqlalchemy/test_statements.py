import pytest

from fastapi_baseline.observability.sqlalchemy import describe


@pytest.mark.parametrize(
    ("statement", "operation", "summary"),
    [
        ("SELECT 1", "SELECT", "SELECT"),
        ("select a from patients where id = ?", "SELECT", "SELECT patients"),
        ('SELECT a FROM "My Schema"."T" JOIN b ON 1', "SELECT", "SELECT My Schema.T b"),
        ("INSERT INTO patients (a) VALUES (?)", "INSERT", "INSERT patients"),
        ("INSERT INTO a (x) VALUES ($1) ON CONFLICT DO UPDATE SET x = 1", "INSERT", "INSERT a"),
        ("UPDATE patients SET a = ?", "UPDATE", "UPDATE patients"),
        ("DELETE FROM patients", "DELETE", "DELETE patients"),
        ("SELECT a FROM b FOR UPDATE SKIP LOCKED", "SELECT", "SELECT b"),
        ("SELECT a FROM b JOIN b ON 1 JOIN c ON 1", "SELECT", "SELECT b c"),
        ("SELECT x FROM generate_series(1, 2)", "SELECT", "SELECT"),
        ("WITH x AS (DELETE FROM a RETURNING id) SELECT * FROM x", "SELECT", "SELECT a x"),
        ("WITH x AS (SELECT (1)) UPDATE a SET b = 1", "UPDATE", "UPDATE a"),
        ("/* from a tool */ -- so\nSELECT 1", "SELECT", "SELECT"),
        ("(SELECT 1) UNION (SELECT 2)", "SELECT", "SELECT"),
        ("BEGIN IMMEDIATE", "BEGIN", "BEGIN"),
        ("RELEASE SAVEPOINT sa_1", "RELEASE", "RELEASE"),
        ("FROBNICATE patients", "_OTHER", "_OTHER"),
        ("", "_OTHER", "_OTHER"),
    ],
)
def test_tells_what_a_statement_does(statement: str, operation: str, summary: str) -> None:
    described = describe(statement)

    assert described.operation == operation
    assert described.summary == summary


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("SELECT a\n  FROM b", "SELECT a FROM b"),
        ("a = 'secret'", "a = ?"),
        ("a = 'it''s secret' AND b = 'x'", "a = ? AND b = ?"),
        ("a = 'unended secret", "a = ?"),
        ("a = E'it\\'s secret' AND b = 'x'", "a = E?"),
        ("a = 'C:\\' AND b = 'secret'", "a = ?"),
        ("a = $$secret$$ AND b = $tag$sec$ret$tag$", "a = ? AND b = ?"),
        ("a = 12.5 AND b = 7", "a = ? AND b = ?"),
        ("a = $1 AND b = $2::INTEGER", "a = $1 AND b = $2::INTEGER"),
        ("a = %(id_1)s AND b = :id_2 AND c = ?", "a = %(id_1)s AND b = :id_2 AND c = ?"),
        ("\"it's\" = 'secret'", '"it\'s" = ?'),
        ("/* don't */ a = 'secret' -- don't\nb", "a = ? b"),
        ("/* unended secret", ""),
    ],
)
def test_takes_the_values_out_of_a_text(statement: str, text: str) -> None:
    assert describe(statement).text == text


def test_statements_that_differ_in_their_values_only_are_the_same() -> None:
    assert describe("SELECT a FROM b WHERE c = 1") == describe("SELECT a FROM b WHERE c = 2")


def test_a_long_statement_is_cut_off_and_shows_no_value_for_it() -> None:
    rows = ["('secret')"] * 100_000

    described = describe(", ".join(["INSERT INTO patients (name) VALUES ('secret')", *rows]))

    assert described.summary == "INSERT patients"
    assert len(described.text) < 5_000
    assert "secret" not in described.text


@pytest.mark.parametrize("text", ["'", '"', "/*", "$a$", "(", "$", "-", "FROM ", "1.", "*/*"])
def test_is_done_soon_whatever_the_text_is(text: str) -> None:
    described = describe("SELECT " + text * 4_000)

    assert described.operation == "SELECT"
