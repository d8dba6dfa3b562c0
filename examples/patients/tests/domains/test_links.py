"""The Link header."""

import pytest
from starlette.datastructures import URL

from patients.domains.patients.links import link_header
from patients.domains.patients.query import Window


def test_links_the_pages_around_this_one() -> None:
    url = URL("https://host/patients?gender=Male&_page=2&q=%C3%89+a%20b&_limit=5")

    header = link_header(url, Window(offset=5, limit=5, page=2), found=5, total=16)

    start = "<https://host/patients?gender=Male&_page="
    end = "&q=%C3%89+a%20b&_limit=5>"
    assert header == (
        f'{start}1{end}; rel="first", {start}1{end}; rel="prev", '
        f'{start}3{end}; rel="next", {start}4{end}; rel="last"'
    )


@pytest.mark.parametrize(
    ("page", "rels"),
    [
        (1, ["first", "next", "last"]),
        (2, ["first", "prev", "next", "last"]),
        (3, ["first", "prev", "last"]),
    ],
)
def test_leaves_out_the_page_before_the_first_and_after_the_last(
    page: int, rels: list[str]
) -> None:
    url = URL(f"http://host/patients?_page={page}")

    header = link_header(url, Window(offset=0, limit=10, page=page), found=5, total=30)

    assert [part.split('"')[1] for part in header.split(", ")] == rels


@pytest.mark.parametrize("found", [0, 7])
def test_has_no_links_for_the_only_page_and_for_one_past_the_end(found: int) -> None:
    window = Window(offset=0, limit=10, page=1)

    assert link_header(URL("http://host/patients?_page=1"), window, found=found, total=7) == ""


@pytest.mark.parametrize("query", ["x_page=1&_page=0", "x_page=1&%5Fpage=0", "x_page=1&_page[]=0"])
def test_changes_the_page_and_nothing_that_looks_like_it(query: str) -> None:
    window = Window(offset=0, limit=10, page=1)

    header = link_header(URL(f"http://host/patients?{query}"), window, found=10, total=11)

    assert header.endswith('<http://host/patients?x_page=1&_page=2>; rel="last"')


def test_quotes_what_would_end_the_address() -> None:
    window = Window(offset=0, limit=1, page=1)

    header = link_header(URL("http://host/patients?q=a>b<c&_page=1"), window, found=1, total=2)

    assert "q=a%3Eb%3Cc" in header
