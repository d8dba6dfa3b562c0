"""Writes what of the template is derived from the settings: run it when they have changed.

    python scripts/derive_settings.py

These are `.env.example`, of which only stands here which settings are shown, when, and with what, the
names in the schema of the chart's values, and what the containers of `compose.yaml` are told. Users
append to `.env.example`: so nothing is ever added at its end.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi_baseline.settings import Settings
from fastapi_baseline.settings.contract import Variable, find_variables
from fastapi_baseline.settings.derivation import comment, derive_definitions

TEMPLATE = Path(__file__).parents[1] / "template"
EXAMPLE = TEMPLATE / ".env.example.jinja"
COMPOSE = TEMPLATE / "{% if 'compose' in deploy %}compose.yaml{% endif %}.jinja"
SCHEMA = TEMPLATE / "{% if 'helm' in deploy %}helm{% endif %}/values.schema.json"

HEAD = """\
# Copy this file to .env (git ignores it) and change what you need. A real variable of the
# environment wins over .env, and a nested setting is written with two underscores. All settings:
# uv run baseline config example
"""
_RANDOM = "Make one: openssl rand -hex 32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A setting in the example: with which value, and whether it is set or commented out.

    `hint` follows what the setting says of itself, and `says` takes its place.
    """

    name: str
    value: str = ""
    hint: str = ""
    says: str = ""
    is_set: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Settings that are shown if a condition of the template holds, below an empty line or not."""

    shown: Sequence[Shown]
    condition: str = ""
    is_apart: bool = True


GROUPS = (
    Group(shown=(Shown(name="ENVIRONMENT", value="development", is_set=True),)),
    Group(
        condition="has_database",
        shown=(
            Shown(
                name="DATABASE_URL",
                value="postgresql://user:password@localhost:5432/{{ package_name }}",
                says="Where the database is. Without it, a SQLite file in this folder; staging and "
                "production refuse to start on that",
            ),
            Shown(name="DATABASE__POOL_SIZE", value="10"),
            Shown(
                name="DATABASE__REPLICA_URL",
                value="postgresql://user:password@replica:5432/{{ package_name }}",
            ),
            Shown(name="DATABASE__CURSOR_KEY", hint=_RANDOM),
        ),
    ),
    Group(
        condition="auth == 'oidc'",
        shown=(
            Shown(
                name="AUTH__ISSUER",
                value="https://login.example.com/realms/staff",
                says="The issuer whose access tokens are accepted. Staging and production refuse "
                "to start without one",
            ),
            Shown(name="AUTH__AUDIENCE", value="{{ service_name }}"),
            Shown(name="AUTH__PRESET", value="standard"),
            Shown(
                name="AUTH__LOGIN__CLIENT_ID",
                value="{{ service_name }}",
                hint="They do so with their browsers, at /auth/login, and come back to "
                "/auth/callback of the public URL",
            ),
            Shown(name="AUTH__LOGIN__CLIENT_SECRET", says="How the service proves that it is it"),
            Shown(name="AUTH__PUBLIC_URL", value="https://shop.example.com"),
            Shown(name="AUTH__SECRET_KEYS", hint=_RANDOM),
        ),
    ),
    Group(
        condition="has_users",
        shown=(
            Shown(name="AUTH__PUBLIC_URL", value="https://shop.example.com"),
            Shown(name="AUTH__SERVER__SCOPES", value="items:read,items:write"),
            Shown(name="AUTH__USERS__REGISTRATION", value="open"),
            Shown(name="AUTH__USERS__PAGE_URL", value="https://shop.example.com"),
            Shown(
                name="MAIL__SMTP_URL",
                value="smtps://user:password@mail.example.com:465",
                says="Where letters are sent; unset means that they are written to the log, in "
                "development and tests only",
            ),
            Shown(name="MAIL__SENDER", value="shop@example.com", says="Who letters are from"),
            Shown(name="AUTH__SECRET_KEYS", hint=_RANDOM),
        ),
    ),
    Group(shown=(Shown(name="CORS_ORIGINS", value="http://localhost:3000"),)),
    Group(
        shown=(
            Shown(name="TRUSTED_PROXIES", value="10.0.0.0/8"),
            Shown(name="TRUSTED_HOSTS", value="api.example.com"),
            Shown(name="REDIS_URL", value="redis://localhost:6379/0"),
        )
    ),
    Group(
        condition="has_cache",
        is_apart=False,
        shown=(Shown(name="CACHE__EXPIRE", value="60"),),
    ),
    Group(
        condition="has_limits",
        is_apart=False,
        shown=(
            Shown(name="RATE_LIMITS__PER_ADDRESS", value="600/minute"),
            Shown(name="RATE_LIMITS__PER_API_KEY", value="6000/minute"),
            Shown(name="RATE_LIMITS__DEFAULT", value="120/minute"),
        ),
    ),
    Group(
        is_apart=False,
        shown=(
            Shown(name="OTEL_EXPORTER_OTLP_ENDPOINT", value="http://localhost:4318"),
            Shown(name="MANAGEMENT__PORT", value="8001"),
            Shown(name="MANAGEMENT__TOKEN", hint=_RANDOM),
        ),
    ),
    Group(
        shown=(
            Shown(name="LOG__LEVEL", value="INFO", is_set=True),
            Shown(name="LOG__FORMAT", value="json", is_set=True),
        )
    ),
)

# What containers are told, with a database and without one.
_COMPOSED = (
    (
        Shown(name="ENVIRONMENT", value="development"),
        Shown(
            name="DATABASE_URL",
            value="postgresql://{{ package_name }}:local-only@postgres:5432/{{ package_name }}",
        ),
        Shown(name="REDIS_URL", value="redis://redis:6379/0"),
    ),
    (
        Shown(name="ENVIRONMENT", value="development"),
        Shown(name="REDIS_URL", value="redis://redis:6379/0"),
    ),
)
# What containers that are built here are told; `environment` of the others is none of ours.
_ENVIRONMENT = re.compile(
    r"(?P<before>\n(?P<indent> +)security_opt: [^\n]+\n +environment:[^\n]*\n)"
    r"(?:(?P=indent)  [A-Z_]+: [^\n]+\n)+"
)


def derive_example() -> str:
    """Return the template of `.env.example`, from the settings and from what is shown of them."""
    known = {variable.name: variable for variable in find_variables(Settings)}
    return HEAD + "".join(f"{line}\n" for group in GROUPS for line in _group(group, known))


def derive_compose(text: str) -> str:
    """Return the template of `compose.yaml` with what its containers are told.

    Raises:
        ValueError: If the template has not one place for each way to make a service.
    """
    known = {variable.name: variable for variable in find_variables(Settings)}
    told = iter(_COMPOSED)

    def tell(match: re.Match[str]) -> str:
        lines = [
            f"{match['indent']}  {known[shown.name].name}: {shown.value}\n" for shown in next(told)
        ]
        return match["before"] + "".join(lines)

    derived, count = _ENVIRONMENT.subn(tell, text)
    if count != len(_COMPOSED):
        raise ValueError(f"{COMPOSE.name} tells {count} services something, not {len(_COMPOSED)}.")
    return derived


def derive_schema(text: str) -> str:
    """Return the schema of a chart's values with the definitions of what is set by names."""
    schema = json.loads(text)
    schema["definitions"] |= derive_definitions(Settings)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _group(group: Group, known: dict[str, Variable]) -> Iterator[str]:
    if group.condition:
        yield f"{{%- if {group.condition} %}}"
    if group.is_apart:
        yield ""
    for shown in group.shown:
        yield from _entry(shown, known[shown.name])
    if group.condition:
        yield "{%- endif %}"


def _entry(shown: Shown, variable: Variable) -> Iterator[str]:
    about = shown.says or variable.description.removesuffix(".")
    if variable.choices and not all(choice in about for choice in variable.choices):
        about = f"{about} ({', '.join(variable.choices)})"
    yield from comment(f"{about}. {shown.hint}" if shown.hint else about)
    yield f"{'' if shown.is_set else '# '}{shown.name}={shown.value}"


if __name__ == "__main__":
    EXAMPLE.write_text(derive_example(), encoding="utf-8")
    COMPOSE.write_text(derive_compose(COMPOSE.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMA.write_text(derive_schema(SCHEMA.read_text(encoding="utf-8")), encoding="utf-8")
