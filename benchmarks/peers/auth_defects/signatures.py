"""Probes of what Authlib's resource protector makes of a token's form, signature and key."""

from collections.abc import Mapping

from benchmarks.peers.auth_defects.minting import (
    Issuer,
    assembled,
    claimed,
    encoded,
    signed,
    signed_with_secret,
)
from benchmarks.peers.auth_defects.protected import (
    ENVIRONMENT,
    PEER,
    Validator,
    application,
    statuses,
)
from benchmarks.peers.defects.probe import Seen, probe

Tokens = Mapping[str, str | bytes]
_REFUSED = 401


def _judge(found: dict[str, int]) -> Seen:
    """Return which of the attacks were not refused as they should be: let in, or a failure."""
    others = {name: status for name, status in found.items() if status != _REFUSED}
    return Seen(bool(others), f"not 401: {others}" if others else f"401 for all {len(found)}")


async def _found(tokens: Tokens, keys: object) -> dict[str, int]:
    answered = await statuses(application(Validator(keys)), *tokens.values())
    return dict(zip(tokens, answered, strict=True))


@probe("j01", peer=PEER, environment=ENVIRONMENT)
async def unsigned() -> Seen:
    """Send tokens without a signature."""
    issuer = Issuer()
    names = ("none", "None", "nOnE", "RS256")
    tokens = {name: assembled({"alg": name, "typ": "at+jwt"}, claimed()) for name in names}
    return _judge(await _found(tokens, issuer.keys))


@probe("j02", peer=PEER, environment=ENVIRONMENT)
async def signed_with_the_public_key() -> Seen:
    """Sign with HS256, and what is published as the secret."""
    issuer = Issuer()
    header = {"kid": "rsa"}
    secrets = {
        "PEM": issuer.rsa.as_pem(private=False),
        "DER": issuer.rsa.as_der(private=False),
        "EC": issuer.ec.as_der(private=False),
    }
    tokens = {name: signed_with_secret(secrets[name], header=header) for name in secrets}
    return _judge(await _found(tokens, issuer.keys))


@probe("j03", peer=PEER, environment=ENVIRONMENT)
async def a_published_secret() -> Seen:
    """Sign with HS256 and a secret that is among the published keys."""
    issuer, secret = Issuer(), b"0" * 32
    published = {"kty": "oct", "kid": "oct", "k": encoded(secret)}
    keys = {"keys": [*issuer.keys["keys"], published]}
    token = signed_with_secret(secret, header={"kid": "oct"})
    return _judge(await _found({"HS256": token}, keys))


@probe("j04", peer=PEER, environment=ENVIRONMENT)
async def another_algorithm() -> Seen:
    """Sign with what the issuer does not say that it uses; no algorithms can be named."""
    issuer = Issuer()
    tokens: Tokens = {
        "PS256": issuer.token(header={"alg": "PS256"}),
        "RS384": issuer.token(header={"alg": "RS384"}),
        "ES256, of a service that wants RS256": signed(
            issuer.ec, header={"alg": "ES256", "kid": "ec"}
        ),
    }
    return _judge(await _found(tokens, issuer.keys))


@probe("j05", peer=PEER, environment=ENVIRONMENT)
async def a_key_in_the_header() -> Seen:
    """Send the key that has signed along with the token."""
    issuer, attacker = Issuer(), Issuer()
    own = attacker.rsa.as_dict(private=False)
    tokens: Tokens = {
        "jwk, known kid": attacker.token(header={"jwk": own}),
        "jwk, no kid": attacker.token(header={"jwk": own, "kid": None}),
    }
    return _judge(await _found(tokens, issuer.keys))


@probe("j06", peer=PEER, environment=ENVIRONMENT)
async def a_key_elsewhere() -> Seen:
    """Say in the header where the key is to be found."""
    issuer, attacker = Issuer(), Issuer()
    where = "http://127.0.0.1:9/keys"
    headers = {name: {name: where} for name in ("jku", "x5u")} | {"x5c": {"x5c": ["AAAA"]}}
    tokens = {name: attacker.token(header=header) for name, header in headers.items()}
    return _judge(await _found(tokens, issuer.keys))


@probe("j07", peer=PEER, environment=ENVIRONMENT)
async def odd_names_of_keys() -> Seen:
    """Name keys as no issuer does."""
    issuer = Issuer()
    odd = {
        "path": "../../etc/passwd",
        "SQL": "' OR 1=1 --",
        "10 kB": "k" * 10_000,
        "Unicode": "\u2028\ud800",
        "number": 1,
        "list": ["rsa"],
        "object": {"a": 1},
    }
    tokens = {
        name: assembled({"alg": "RS256", "typ": "at+jwt", "kid": kid}, claimed(), b"s" * 256)
        for name, kid in odd.items()
    }
    return _judge(await _found(tokens, issuer.keys))


@probe("j08", peer=PEER, environment=ENVIRONMENT)
async def altered_signatures() -> Seen:
    """Change signatures, and how they are written."""
    issuer, attacker = Issuer(), Issuer()
    good = issuer.token()
    curve = signed(issuer.ec, header={"alg": "ES256", "kid": "ec"}).rpartition(".")[0]
    tokens: Tokens = {
        "another key": attacker.token(),
        "cut": good[:-4],
        "padded": good + "==",
        "white space": f"{good[:-9]} {good[-9:]}",
        "trailing dot": good + ".",
        "last bits": good[:-1] + chr(ord(good[-1]) + 1),
        "r = s = 0": f"{curve}.{'A' * 86}",
        "not base64": good[:-1] + "!",
    }
    return _judge(await _found(tokens, issuer.keys))


@probe("j09", peer=PEER, environment=ENVIRONMENT)
async def other_forms() -> Seen:
    """Send extensions that are not known, and other serializations."""
    issuer = Issuer()
    header = {"typ": "at+jwt", "alg": "RS256", "kid": "rsa"}
    json_form = '{"payload":"e30","protected":"e30","signature":""}'
    tokens: Tokens = {
        "crit": assembled({**header, "crit": ["x"], "x": 1}, claimed(), b"s" * 256),
        "crit, empty": assembled({**header, "crit": []}, claimed(), b"s" * 256),
        "b64": assembled({**header, "b64": False, "crit": ["b64"]}, claimed(), b"s" * 256),
        "JWE": "e30.e30.e30.e30.e30",
        "JSON": json_form,
        "two parts": "e30.e30",
        "header is a list": "W10.e30.e30",
        "payload is a list": "eyJhbGciOiJSUzI1NiJ9.W10.e30",
        "not UTF-8": b"\xff.\xff.\xff",
    }
    return _judge(await _found(tokens, issuer.keys))
