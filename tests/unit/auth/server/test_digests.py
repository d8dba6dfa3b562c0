import hashlib

from fastapi_baseline.auth.server.digests import CODE_PREFIX, MAX_LENGTH, digest_of, make_secret


def test_what_is_given_out_is_random_and_says_what_it_is() -> None:
    asked: list[int] = []

    def token_bytes(count: int) -> bytes:
        asked.append(count)
        return b"\xff" * count

    made = make_secret(CODE_PREFIX, token_bytes=token_bytes)

    assert made == f"fbc_{'_' * 42}8"
    assert asked == [32]
    assert len(made) < MAX_LENGTH


def test_its_digest_is_stored() -> None:
    assert digest_of("fbc_x") == hashlib.sha256(b"fbc_x").hexdigest()
