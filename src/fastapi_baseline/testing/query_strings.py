"""Query strings to try a list endpoint with: what it takes, what it nearly takes, and worse.

    strings = QueryStrings.of(app.openapi(), "/orders", random=Random(7))
    for _ in range(2_000):
        response = await client.get(f"/orders?{strings.make()}")
        assert response.status_code in {200, 422}

What an endpoint takes is read from its OpenAPI, so it is tried with all of it. A test that also
knows the rows can compare those of each answer with the ones that it should have.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Self
from urllib.parse import quote, quote_from_bytes
from uuid import UUID

from fastapi_baseline.errors import ConfigurationError

# Of what programs have stumbled over: ends of types, other notations, other languages' null.
_ODD = (
    *("", " ", "\0", "a\0b", "\n", "%", "_", "\\", "/", "'", '"', "';--", "' OR '1'='1", "%%", "*"),
    *("null", "None", "undefined", "nan", "NaN", "-nan", "inf", "-Infinity", "1e999", "-1e-999"),
    *("-1", "0", "-0", "+1", "00", "1_000", "0x10", "1,5", "1.", ".5", "\u0661", "\u00b2", "1e3"),
    *("32767", "32768", "-32769", "2147483647", "2147483648", "-2147483649"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "9" * 400, "9" * 5000),
    *("1.005", "99999999.99", "100000000", "0.1e-10", "1e400000", "-0.00"),
    *("true", "FALSE", "yes", "t", "2", "on", "open", "OPEN", "[]", "{}", "a,b", ",", "-", "--"),
    *("2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05+14:00"),
    *(
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59.999999-01:00",
        "2026-02-30",
        "24:00",
        "P1D",
    ),
    *("2026-01-02 03:04:05", "2026-01-02T03:04:05 01:00", "1767323045", "infinity", "now", "epoch"),
    *("00000000-0000-0000-0000-000000000000", "{0199c2a4-7f3e-7b1c-9d52-3f0a6c8e1b47}"),
    *("\u00e9", "\u0130", "\u00df", "\U0001f4a9", "\ufffd", "\u202e", "\ufeff", "e\u0301" * 5),
    *("x" * 1_001, "../../etc/passwd", "${jndi:ldap://x}", "{{7*7}}", "__class__", "metadata"),
)
_ODD_BYTES = (b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"a\xe9", b"%", b"%zz", b"%00%", b"+", b"%2B")
_ODD_NAMES = (
    *(
        "",
        "nosuch",
        "metadata",
        "registry",
        "__class__",
        "__dict__",
        "id__gte",
        "password",
        "[gte]",
    ),
    *(
        "parameter_0",
        "parameter_1",
        "sort[]",
        "limit[gte]",
        "q[contains]",
        "cursor",
        "fields",
        "\0",
    ),
)


class QueryStrings:
    """Query strings for one operation, as long as one asks; the same for the same `random`.

    `values` has values by the name of a parameter that are worth trying, such as those of rows.
    """

    def __init__(
        self,
        parameters: Sequence[Mapping[str, Any]],
        *,
        random: Random,
        schemas: Mapping[str, Any] | None = None,
        values: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Make query strings from the `parameters` and the `schemas` of an OpenAPI document."""
        self._random = random
        self._items = _Items(random, schemas or {})
        self._values = values or {}
        self._parameters = {
            str(parameter["name"]): parameter.get("schema", {})
            for parameter in parameters
            if parameter["in"] == "query"
        }
        if not self._parameters:
            raise ConfigurationError("The operation has no parameters in its query.")

    @classmethod
    def of(
        cls,
        document: Mapping[str, Any],
        path: str,
        *,
        random: Random,
        values: Mapping[str, Sequence[str]] | None = None,
    ) -> Self:
        """Make query strings for `GET` of a path, which is written as in the OpenAPI document."""
        schemas = document.get("components", {}).get("schemas", {})
        parameters = document["paths"][path]["get"].get("parameters", [])
        return cls(parameters, random=random, schemas=schemas, values=values)

    def make(self) -> str:
        """Return a query string, encoded; about half of them are such as the endpoint takes."""
        is_sound = self._random.random() < 0.5  # noqa: PLR2004 -- half of them
        wanted = self._random.choice((0, 1, 1, 1, 2, 2, 3, 4))
        # Mostly once each, as clients do; sometimes one comes again.
        names = self._random.sample([*self._parameters], min(wanted, len(self._parameters)))
        parts = [self._sound(name) for name in names]
        if not is_sound:
            for _ in range(self._random.choice((1, 1, 2))):
                parts.insert(self._random.randint(0, len(parts)), self._odd())
        return "&".join(parts)

    def _sound(self, name: str) -> str:
        schema = self._items.resolved(self._parameters[name])
        count = self._random.choice((1, 1, 2, 3)) if schema.get("type") == "array" else 1
        return "&".join(f"{quote(name)}={quote(self._value(name, schema))}" for _ in range(count))

    def _odd(self) -> str:
        name = self._random.choice([*self._parameters])
        makers: Sequence[Callable[[], str]] = (
            lambda: f"{quote(name)}={quote(self._random.choice(_ODD))}",
            lambda: f"{quote(name)}={quote(self._random.choice(_ODD))}",
            lambda: f"{name}={quote_from_bytes(self._random.choice(_ODD_BYTES), safe='%+')}",
            lambda: f"{quote(name)}={quote(self._mangled(self._value(name, {})))}",
            lambda: f"{quote(self._mangled(name))}={quote(self._value(name, {}))}",
            lambda: f"{quote(self._random.choice(_ODD_NAMES))}={quote(self._value(name, {}))}",
            lambda: f"{quote(name.split('[')[0])}={quote(self._value(name, {}))}",
            lambda: f"{self._sound(name)}&{self._sound(name)}",
            lambda: self._random.choice((name, "", "&", "=", "==", "a=b=c", ";", "?", "#")),
        )
        return self._random.choice(makers)()

    def _mangled(self, text: str) -> str:
        place = self._random.randint(0, len(text))
        inserted = self._random.choice(("", "[", "]", "-", ".", "0", "%", "\0", "\u00e9", " ", "["))
        return text[:place] + inserted + text[place + self._random.randint(0, 2) :]

    def _value(self, name: str, schema: Mapping[str, Any]) -> str:
        known = self._values.get(name)
        if known and self._random.random() < 0.8:  # noqa: PLR2004 -- mostly
            return self._random.choice(known)
        item = self._items.resolved(schema or self._parameters[name])
        if item.get("type") == "array":
            item = self._items.resolved(item.get("items", {}))
        return self._items.make(item)


class _Items:
    """Values that schemas of JSON allow."""

    def __init__(self, random: Random, schemas: Mapping[str, Any]) -> None:
        self._random = random
        self._schemas = schemas
        self._makers: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
            "boolean": lambda _: random.choice(("true", "false")),
            "date": self._moment,
            "date-time": self._moment,
            "integer": self._integer,
            "number": self._number,
            "time": self._moment,
            "uuid": lambda _: str(UUID(int=random.getrandbits(128))),
        }

    def make(self, schema: Mapping[str, Any]) -> str:
        if "enum" in schema:
            return str(self._random.choice(schema["enum"]))
        kind = schema.get("format") or schema.get("type")
        return self._makers.get(str(kind), self._text)(schema)

    def _integer(self, schema: Mapping[str, Any]) -> str:
        low, high = int(schema.get("minimum", -5)), int(schema.get("maximum", 50))
        near = min(max(self._random.randint(-5, 50), low), high)
        return str(self._random.choice((near, near, near, low, high)))

    def _number(self, _: Mapping[str, Any]) -> str:
        return str(self._random.choice((0, 1, -1, 0.5, 12.25, self._random.randint(-9, 99))))

    def _moment(self, schema: Mapping[str, Any]) -> str:
        hours = timedelta(hours=self._random.randint(-99, 99))
        moment = datetime(2026, 1, 1, tzinfo=UTC) + hours
        written = {"date": moment.date(), "time": moment.time()}
        return written.get(schema["format"], moment).isoformat()

    def _text(self, _: Mapping[str, Any]) -> str:
        return "".join(self._random.choices("abAB01 -%_\\/", k=self._random.randint(1, 3)))

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a schema without references, and one of several; not null, which no URL has."""
        if "$ref" in schema:
            return self._schemas.get(str(schema["$ref"]).rpartition("/")[2], {})
        options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
        return self.resolved(self._random.choice(options)) if options else schema
