import asyncio
import gzip
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta

import httpx2
import pytest
from httpx2 import AsyncClient, MockTransport, Request, Response

from fastapi_baseline.auth.tokens.fetching import MAX_ANSWER_BYTES, Fetcher, FetchError

URL = "https://issuer.test/jwks"


def fetcher_of(answer: Callable[[Request], Response]) -> Fetcher:
    return Fetcher(
        timeout=timedelta(seconds=1),
        make_client=lambda: AsyncClient(transport=MockTransport(answer), follow_redirects=True),
    )


async def test_asks_for_json_that_is_not_compressed() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return Response(200, json={"a": 1})

    fetched = await fetcher_of(answer).get(URL)

    [request] = seen
    assert fetched.document == {"a": 1}
    assert (request.method, str(request.url)) == ("GET", URL)
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["accept"] == "application/json"


async def test_sends_a_form() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return Response(200, json={})

    await fetcher_of(answer).post(URL, form=b"token=x", headers={"Authorization": "Basic x"})

    [request] = seen
    assert (request.method, request.content) == ("POST", b"token=x")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["authorization"] == "Basic x"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", None),
        ("public", None),
        ("max-age=600", 600),
        ("public, Max-Age=600, must-revalidate", 600),
        ('max-age="600"', 600),
        ("s-maxage=5, max-age=600", 600),
        ("s-maxage=5", None),
        ("max-age=-1", None),
        ("max-age=1.5", None),
        ("max-age=99999999999999999999", None),
        ("x-max-age=7", None),
        ("no-store", 0),
        ("max-age=600, no-cache", 0),
    ],
)
async def test_reads_how_long_an_answer_is_good(said: str, seconds: int | None) -> None:
    fetcher = fetcher_of(lambda _: Response(200, json={}, headers={"Cache-Control": said}))

    fetched = await fetcher.get(URL)

    assert fetched.max_age == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (Response(500), "it answered with status 500"),
        (Response(302, headers={"Location": URL}), "it answered with status 302"),
        (Response(200, content=b"<html>"), "it answered with something that is no JSON"),
        (Response(200, content=b"\xff"), "it answered with something that is no JSON"),
        (Response(200, content=b"[" * 100_000), "it answered with something that is no JSON"),
        (Response(200, content=b" " * (MAX_ANSWER_BYTES + 1)), "it answered with too much"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_says_what_is_wrong_with_an_answer(response: Response, message: str) -> None:
    with pytest.raises(FetchError, match=message) as caught:
        await fetcher_of(lambda _: response).get(URL)

    assert caught.value.status == response.status_code


async def test_reads_an_answer_of_the_largest_size() -> None:
    content = b"{}" + b" " * (MAX_ANSWER_BYTES - 2)

    assert (await fetcher_of(lambda _: Response(200, content=content)).get(URL)).document == {}


async def test_does_not_unpack_what_is_compressed() -> None:
    async def packed() -> AsyncGenerator[bytes]:
        yield gzip.compress(b" " * 1_000_000)

    headers = {"Content-Encoding": "gzip"}

    with pytest.raises(FetchError, match="something compressed"):
        await fetcher_of(lambda _: Response(200, content=packed(), headers=headers)).get(URL)


async def test_waits_for_the_last_byte_no_longer_than_it_may() -> None:
    async def endless() -> AsyncGenerator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    fetcher = Fetcher(
        timeout=timedelta(seconds=0.01),
        make_client=lambda: AsyncClient(
            transport=MockTransport(lambda _: Response(200, content=endless()))
        ),
    )

    with pytest.raises(FetchError, match="it took too long"):
        await fetcher.get(URL)

    await fetcher.close()


async def test_asks_nobody_without_tls() -> None:
    seen: list[Request] = []

    with pytest.raises(FetchError, match="without TLS"):
        await fetcher_of(lambda request: seen.append(request) or Response(200)).get(
            "http://issuer.test"
        )

    assert seen == []


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError("planted"),
        httpx2.ReadTimeout("planted"),
        httpx2.InvalidURL("planted"),
        httpx2.RemoteProtocolError("planted"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_says_which_failure_it_was_and_not_its_text(error: Exception) -> None:
    def fail(_: Request) -> Response:
        raise error

    with pytest.raises(FetchError) as caught:
        await fetcher_of(fail).get(URL)

    assert str(caught.value) == type(error).__name__
    assert caught.value.status is None


async def test_makes_a_client_when_it_is_needed_and_again_after_it_was_closed() -> None:
    made: list[AsyncClient] = []

    def make() -> AsyncClient:
        made.append(AsyncClient(transport=MockTransport(lambda _: Response(200, json={}))))
        return made[-1]

    fetcher = Fetcher(timeout=timedelta(seconds=1), make_client=make)
    await fetcher.close()
    assert made == []

    await fetcher.get(URL)
    await fetcher.get(URL)
    await fetcher.close()
    await fetcher.get(URL)

    assert [client.is_closed for client in made] == [True, False]
    await fetcher.close()


async def test_has_a_client_of_its_own() -> None:
    fetcher = Fetcher(timeout=timedelta(seconds=0.5))

    with pytest.raises(FetchError):
        await fetcher.get("http://127.0.0.1:1/jwks")

    await fetcher.close()


async def test_sends_the_headers_that_it_is_given() -> None:
    sent: list[str | None] = []

    def answer(request: Request) -> Response:
        sent.append(request.headers.get("Authorization"))
        return Response(200, json={})

    fetcher = Fetcher(
        timeout=timedelta(seconds=1),
        make_client=lambda: AsyncClient(transport=MockTransport(answer)),
    )
    await fetcher.get(URL, headers={"Authorization": "Bearer x"})
    await fetcher.get(URL)
    await fetcher.close()

    assert sent == ["Bearer x", None]
