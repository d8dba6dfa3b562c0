import pytest

from fastapi_baseline.observability.logging import Redactor
from fastapi_baseline.observability.tracing import redact_query, redact_url

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("query", "redacted"),
    [
        ("", ""),
        ("page=2&sort=-name", "page=2&sort=-name"),
        ("flag&page=2", "flag&page=2"),
        ("token=abc&page=2", "token=[redacted]&page=2"),
        ("reset_token=abc", "reset_token=[redacted]"),
        ("code=abc&state=x", "code=[redacted]&state=x"),
        ("code_verifier=abc&code_challenge=x", "code_verifier=[redacted]&code_challenge=x"),
        ("scope=fbr_" + "a1" * 20, "scope=[redacted]"),
        ("API-Key=abc", "API-Key=[redacted]"),
        ("key=abc", "key=[redacted]"),
        ("X-Amz-Signature=abc", "X-Amz-Signature=[redacted]"),
        ("sig=abc", "sig=[redacted]"),
        ("%70assword=abc", "%70assword=[redacted]"),
        ("password=a=b", "password=[redacted]"),
        ("q=a+b%20c&next=%2F", "q=a+b%20c&next=%2F"),
        (f"next={TOKEN}", "next=[redacted]"),
        (TOKEN, "[redacted]"),
    ],
)
def test_takes_secrets_out_of_queries_and_leaves_the_rest(query: str, redacted: str) -> None:
    assert redact_query(query) == redacted


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("https://example.com/a?b=c#d", "https://example.com/a?b=c#d"),
        ("https://me:hush@example.com/a", "https://[redacted]@example.com/a"),
        ("https://hush@example.com", "https://[redacted]@example.com"),
        ("https://a.example/x@y?u=z@v", "https://a.example/x@y?u=z@v"),
        (
            "https://a.example/?token=x#access_token=y",
            "https://a.example/?token=[redacted]#access_token=[redacted]",
        ),
        (f"https://a.example/reset/{TOKEN}", "https://a.example/reset/[redacted]"),
        ("/a?password=x", "/a?password=[redacted]"),
    ],
)
def test_takes_secrets_out_of_urls_and_leaves_the_rest(url: str, redacted: str) -> None:
    assert redact_url(url) == redacted


def test_knows_the_names_that_a_service_adds() -> None:
    redactor = Redactor(["patient"])

    assert redact_query("patient_number=7&page=1", redactor=redactor) == (
        "patient_number=[redacted]&page=1"
    )
