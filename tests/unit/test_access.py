from functools import partial

from starlette.staticfiles import StaticFiles

from fastapi_baseline.access import anybody, decides_access, deciding, is_public, public


class Guard:
    def __init__(self) -> None:
        self.decides_access = True


async def answer(number: int = 1) -> int:
    return number


def test_what_is_not_marked_is_not_public() -> None:
    assert not is_public(answer)
    assert not is_public(partial(answer, 2))


def test_a_mark_is_seen_through_a_partial() -> None:
    async def marked(number: int = 1) -> int:
        return number

    assert public(marked) is marked
    assert is_public(marked)
    assert is_public(partial(partial(marked, 2)))


def test_an_application_to_be_mounted_can_be_marked() -> None:
    files = StaticFiles(directory=".", check_dir=False)

    assert is_public(public(files))
    assert not is_public(StaticFiles(directory=".", check_dir=False))


def test_something_true_that_is_no_mark_is_none() -> None:
    class Loose:
        def __getattr__(self, name: str) -> str:
            return "yes"

    assert not is_public(Loose())
    assert not decides_access(Loose())


def test_a_function_that_is_marked_decides() -> None:
    async def check() -> None: ...

    assert not decides_access(check)
    assert deciding(check) is check
    assert decides_access(check)


def test_an_object_decides_and_its_class_does_not() -> None:
    class Marked:
        decides_access = True

    assert decides_access(Guard())
    assert decides_access(Marked())
    assert not decides_access(Guard)
    assert not decides_access(Marked)


async def test_anybody_is_let_in() -> None:
    await anybody()

    assert is_public(anybody)
    assert not decides_access(anybody)
