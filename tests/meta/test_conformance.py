import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/openid-conformance.md"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
# Of the plans for providers (basic, logout) and for clients (basic, configuration, refreshing).
MODULES = re.findall(
    r"\w+",
    """
    ServerTest ResponseTypeMissing IdTokenSignature IdTokenUnsigned UserInfoGet UserInfoPostHeader
    UserInfoPostBody EnsureRequestWithoutNonceSucceedsForCodeFlow ScopeProfile ScopeEmail ScopeAddress
    ScopePhone ScopeAll AlternateHappyFlow DisplayPage DisplayPopup PromptLogin PromptNoneNotLoggedIn
    PromptNoneLoggedIn MaxAge1 MaxAge10000 EnsureRequestWithUnknownParameterSucceeds IdTokenHint
    LoginHint UiLocales ClaimsLocales EnsureRequestWithAcrValuesSucceeds AuthCodeReuse
    AuthCodeReuseAfter30Seconds EnsureRegisteredRedirectUri EnsurePostRequestSucceeds
    ServerTestClientSecretPost RequestUriUnsigned UnsignedRequestObject ClaimsEssential
    EnsureRequestObjectWithRedirectUri RefreshToken EnsureRequestWithValidPkceSucceeds
    DiscoveryEndpointVerification RpInitiatedLogout BadLogoutRedirectUri ModifiedIdTokenHint
    NoIdTokenHint NoParams NoPostLogoutRedirectUri NoState OnlyState QueryAddedToLogoutRedirectUri
    BadIdTokenHint
    Test InvalidIssuerInIdToken MissingSubInIdToken InvalidAudInIdToken MissingIatInIdToken
    KidAbsentSingleJwks KidAbsentMultipleMatchingKeysInJwks IdTokenSignedUsingRS256 IdTokenSigAlgNone
    InvalidIdTokenSignatureWithRS256 UserinfoBearerHeader UserinfoBearerBody
    InvalidSubInUserinfoResponse NonceInvalid ScopeUserInfoClaims ClientSecretBasic
    DiscoveryOpenIDConfiguration DiscoveryJwksUriKeys DiscoveryIssuerMismatch
    SigningKeyRotationJustBeforeSigning SigningKeyRotation RefreshTokenInvalidIssuer
    RefreshTokenInvalidSub InvalidAtHashInIdToken
""",
)


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_test_that_the_table_names_exists(page: str) -> None:
    tests = ROOT / "tests"
    files = {file for file, _ in NAMED.findall(page)}
    paths = {file: tests / (file if "/" in file else f"api/auth/{file}") for file in files}
    known = {file: functions_of(path) for file, path in paths.items() if path.is_file()}

    missing = [
        f"{file}::{name}" for file, name in NAMED.findall(page) if name not in known.get(file, ())
    ]

    assert len(files) > 4
    assert missing == []


def test_every_row_names_a_test(page: str) -> None:
    rows = [row for row in page.splitlines() if row.startswith("| ") and "---" not in row]
    rows = [row for row in rows if not row.startswith("| Module |")]

    assert [row for row in rows if not NAMED.search(row)] == []


def test_every_module_is_in_the_table(page: str) -> None:
    missing = [name for name in MODULES if not re.search(rf"(?<![\w`]){name}(?!\w)", page)]

    assert len(MODULES) > 70
    assert missing == []
