import pytest

from fastapi_baseline.auth.tokens.addresses import check_address, is_safe_address
from fastapi_baseline.errors import ConfigurationError


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.test",
        "https://issuer.test:8443/realms/demo/",
        "http://127.0.0.1:8080",
        "http://127.3.2.1",
        "http://[::1]:8080/a",
        "http://localhost:8080",
        "https://10.0.0.1",
    ],
)
def test_takes_what_nobody_in_between_can_answer_for(url: str) -> None:
    assert is_safe_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "issuer.test",
        "//issuer.test",
        "http://issuer.test",
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://127.0.0.1.evil.test",
        "http://localhost.evil.test",
        "http://localhost@evil.test",
        "https://user:password@issuer.test",
        "https://issuer.test/#fragment",
        "https://",
        "https:///path",
        "https://issuer.test:port",
        "https://issuer.test:99999",
        "https://[::1",
        "file:///etc/passwd",
        "ftp://issuer.test",
        " https://issuer.test",
        "https://issuer.test\n",
        "https://iss\tuer.test",
        "http://127.0.0.1 .evil.test",
    ],
)
def test_refuses_any_other(url: str) -> None:
    assert not is_safe_address(url)

    with pytest.raises(ConfigurationError, match=r"^The issuer must be a URL with https://"):
        check_address(url, what="The issuer")


def test_says_nothing_about_one_that_is_safe() -> None:
    assert check_address("https://issuer.test", what="The issuer") is None
