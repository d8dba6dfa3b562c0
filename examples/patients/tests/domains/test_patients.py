"""Patients over HTTP; what json-server does with the same requests is compared in tests/peer."""

import json
from typing import Any

import pytest
from httpx2 import AsyncClient

ORIGIN = {"origin": "http://localhost:5173"}


async def register(client: AsyncClient, *patients: dict[str, Any]) -> None:
    for patient in patients:
        response = await client.post("/patients", json=patient)
        assert response.status_code == 201, response.text


async def names(client: AsyncClient, query: str) -> list[str]:
    response = await client.get(f"/patients?{query}")
    assert response.status_code == 200, response.text
    return [patient["name"] for patient in response.json()]


async def test_answers_with_what_was_stored_and_where(
    client: AsyncClient, ada: dict[str, Any]
) -> None:
    response = await client.post("/patients", json=ada)

    stored = response.json()
    assert response.status_code == 201
    assert stored == {**ada, "id": stored["id"]}
    assert response.headers["location"] == f"http://testserver/patients/{stored['id']}"
    assert (await client.get(response.headers["location"])).json() == stored


async def test_makes_a_short_text_for_an_id(client: AsyncClient, ada: dict[str, Any]) -> None:
    first = await client.post("/patients", json=ada)
    second = await client.post("/patients", json={**ada, "patientID": "P2", "id": ""})

    assert len(first.json()["id"]) == len(second.json()["id"]) == 12
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize("given", ["596d1", "7", "with space/and ü?", "%", "."])
async def test_keeps_an_id_that_is_given(
    given: str, client: AsyncClient, ada: dict[str, Any]
) -> None:
    response = await client.post("/patients?x=1", json={**ada, "id": given})

    assert response.json()["id"] == given
    found = await client.get("/patients", params={"id": given})
    assert found.json() == [response.json()]
    if given != ".":  # Clients take this one for the folder itself.
        assert (await client.get(response.headers["location"])).json() == response.json()


async def test_lists_a_bare_array_in_the_order_of_registration(
    client: AsyncClient, ada: dict[str, Any]
) -> None:
    await register(client, *({**ada, "patientID": f"P{n}", "name": str(n)} for n in (3, 1, 2)))

    response = await client.get("/patients")

    assert [patient["name"] for patient in response.json()] == ["3", "1", "2"]
    assert "x-total-count" not in response.headers
    assert "link" not in response.headers


async def test_lists_nothing_while_there_is_nobody(client: AsyncClient) -> None:
    response = await client.get("/patients?_page=1")

    assert response.json() == []
    assert response.headers["x-total-count"] == "0"
    assert response.headers["link"] == ""


async def test_counts_what_the_filters_leave(client: AsyncClient, ada: dict[str, Any]) -> None:
    await register(
        client,
        *({**ada, "patientID": f"P{n}", "name": f"n{n}", "age": n} for n in range(1, 8)),
    )

    for query, expected, total in (
        ("age_gte=3&_page=2&_limit=2", ["n5", "n6"], "5"),
        ("age_gte=3&_page=3&_limit=2", ["n7"], "5"),
        ("age_gte=3&_page=9&_limit=2", [], "5"),
        ("age_gte=3&_limit=0", [], "5"),
        ("age_lte=2&_start=1&_end=9", ["n2"], "2"),
        ("age=1&age=7&_limit=9", ["n1", "n7"], "2"),
    ):
        response = await client.get(f"/patients?{query}")

        assert [patient["name"] for patient in response.json()] == expected, query
        assert response.headers["x-total-count"] == total, query


async def test_ignores_case_beyond_ascii(client: AsyncClient, ada: dict[str, Any]) -> None:
    written = ["Évariste", "Łukasz", "Шевченко", "Nguyễn", "ΓΙΩΡΓΟΣ", "Straße"]
    await register(client, *({**ada, "patientID": name, "name": name} for name in written))

    for text, found in (
        ("évaRISTE", "Évariste"),
        ("ŁUKASZ", "Łukasz"),
        ("łukasz", "Łukasz"),
        ("шевчЕНКО", "Шевченко"),
        ("NGUYỄN", "Nguyễn"),
        ("γιωργος", "ΓΙΩΡΓΟΣ"),
        ("strASSe", None),
        ("STRAßE", "Straße"),
    ):
        expected = [found] if found else []
        assert await names(client, f"q={text}") == expected
        assert await names(client, f"name_like={text}") == expected
        assert await names(client, f"name_like=^{text}$") == expected


async def test_takes_the_wildcards_of_sql_for_what_they_are(
    client: AsyncClient, ada: dict[str, Any]
) -> None:
    written = ["100%", "a_b", "back\\slash", "plain"]
    await register(
        client,
        # A made id may hold what is searched for.
        *(
            {**ada, "id": f"{n}", "patientID": f"{n}", "name": name}
            for n, name in enumerate(written)
        ),
    )

    for text, found in (("%25", "100%"), ("_b", "a_b"), ("%5C", "back\\slash")):
        assert await names(client, f"q={text}") == [found]
    assert await names(client, "name_like=%25") == ["100%"]
    assert await names(client, "name_like=_") == ["a_b"]
    assert await names(client, "name_like=%5C%5C") == ["back\\slash"]
    assert await names(client, "name_like=^.*a.*n$") == ["plain"]


async def test_finds_nothing_across_two_fields(client: AsyncClient, ada: dict[str, Any]) -> None:
    await register(client, ada)

    assert await names(client, "q=Lovelace36") == []
    assert await names(client, "q=Lovelace%EF%BF%BF36") == []


async def test_sorts_text_by_code_point(client: AsyncClient, ada: dict[str, Any]) -> None:
    written = ["zoë", "Zoë", "Ada", "ada", "Élan", "花子", "\ufb01", "😀", "Z-1", "Z 1"]
    await register(client, *({**ada, "patientID": name, "name": name} for name in written))

    assert await names(client, "_sort=name") == sorted(written)
    assert await names(client, "_sort=name&_order=desc") == sorted(written, reverse=True)
    assert await names(client, "_sort=name&name_gte=Zo&name_lte=é") == [
        name for name in sorted(written) if "Zo" <= name <= "é"
    ]


async def test_names_each_field_that_is_wrong(client: AsyncClient) -> None:
    response = await client.post(
        "/patients",
        json={
            "patient_id": "P1",
            "name": " \u2003",
            "age": 41.5,
            "gender": "F",
            "medicalCondition": "",
            "lastVisit": "2024-02-30",
            "bloodType": "0+",
        },
    )

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == "validation_failed"
    assert {error["pointer"]: error["code"] for error in problem["errors"]} == {
        "#/patientID": "missing",
        "#/name": "blank",
        "#/age": "int_type",
        "#/gender": "literal_error",
        "#/medicalCondition": "blank",
        "#/lastVisit": "no_such_date",
        "#/patient_id": "extra_forbidden",
        "#/bloodType": "extra_forbidden",
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 7),
        ("id", " "),
        ("id", "x" * 201),
        ("patientID", None),
        ("patientID", 7),
        ("patientID", "x" * 201),
        ("patientID", "a\0b"),
        ("name", "half of a pair: \ud83d"),
        ("name", "x" * 501),
        ("age", 0),
        ("age", 151),
        ("age", "41"),
        ("age", True),
        ("age", None),
        ("age", 1e300),
        ("gender", "male"),
        ("medicalCondition", "x" * 10_001),
        ("medicalCondition", ["x"]),
        ("lastVisit", "2024-2-9"),
        ("lastVisit", "2024-02-29T00:00"),
        ("lastVisit", "٢٠٢٤-٠٢-٢٩"),
        ("lastVisit", "0000-01-01"),
        ("lastVisit", "12/05/2024"),
        ("lastVisit", 20240229),
    ],
)
async def test_refuses_a_value_that_breaks_the_rules(
    field: str, value: object, client: AsyncClient, ada: dict[str, Any]
) -> None:
    # In ASCII, so that half of a surrogate pair can be sent at all.
    content = json.dumps({**ada, field: value})
    headers = {"content-type": "application/json"}

    response = await client.post("/patients", content=content, headers=headers)

    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == [f"#/{field}"]
    assert (await client.get("/patients")).json() == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '"text"', '{"age": 1e999999999}', "[" * 100_000]
)
async def test_refuses_a_body_that_is_no_patient(content: str, client: AsyncClient) -> None:
    response = await client.post(
        "/patients", content=content, headers={"content-type": "application/json"}
    )

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


async def test_takes_the_longest_text_that_is_allowed(
    client: AsyncClient, ada: dict[str, Any]
) -> None:
    longest = {
        "id": "😀" * 200,
        "patientID": "\U0010ffff" * 200,
        "name": "花" * 500,
        "medicalCondition": "İ" * 10_000,
    }

    response = await client.post("/patients", json={**ada, **longest, "age": 41.0})

    assert response.status_code == 201, response.text
    assert response.json() == {**ada, **longest, "age": 41}
    assert isinstance(response.json()["age"], int)


@pytest.mark.parametrize(
    ("again", "pointer"),
    [({"patientID": "P1", "id": "other"}, "#/patientID"), ({"patientID": "P2", "id": "x"}, "#/id")],
)
async def test_refuses_what_is_taken(
    again: dict[str, Any], pointer: str, client: AsyncClient, ada: dict[str, Any]
) -> None:
    await register(client, {**ada, "id": "x"})

    response = await client.post("/patients", json={**ada, **again})

    assert response.status_code == 409
    assert response.json()["code"] == "unique_violation"
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert len((await client.get("/patients")).json()) == 1


@pytest.mark.parametrize("path", ["/patients/nobody", "/patients/a%00b", "/patients/%ED%A0%80"])
async def test_says_that_there_is_no_such_patient(path: str, client: AsyncClient) -> None:
    response = await client.get(path)

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


async def test_names_the_parameter_that_it_cannot_understand(client: AsyncClient) -> None:
    response = await client.get("/patients?name_like=[ab]&_limit=-1")

    problem = response.json()
    assert response.status_code == 400
    assert problem["code"] == "query_invalid"
    assert [(error["in"], error["pointer"]) for error in problem["errors"]] == [
        ("query", "#/name_like"),
        ("query", "#/_limit"),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "&".join(["name_like=a.*b"] * 500),
        "&".join(f"id={n}" for n in range(500)),
        "q=" + "a" * 1000,
    ],
)
async def test_answers_the_longest_query_that_is_allowed(query: str, client: AsyncClient) -> None:
    assert await names(client, query) == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_changes_nothing_that_is_stored(method: str, client: AsyncClient) -> None:
    response = await client.request(method, "/patients/x", json={})

    assert response.status_code == 405
    assert response.json()["code"] == "method_not_allowed"


async def test_lets_a_page_read_the_headers_that_it_needs(
    client: AsyncClient, ada: dict[str, Any]
) -> None:
    created = await client.post("/patients", json=ada, headers=ORIGIN)
    listed = await client.get("/patients?_page=1", headers=ORIGIN)

    for response in (created, listed):
        exposed = response.headers["access-control-expose-headers"].lower().split(", ")
        assert {"location", "link", "x-total-count"} <= {*exposed}
        assert response.headers["access-control-allow-origin"] == ORIGIN["origin"]


async def test_documents_every_parameter_and_error(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    paths = document["paths"]
    listing = paths["/patients"]["get"]
    named = {parameter["name"] for parameter in listing["parameters"]}
    assert {"q", "_sort", "_order", "_page", "_limit", "_start", "_end"} <= named
    assert {"age_gte", "lastVisit_lte", "name_like", "gender_ne", "patientID"} <= named
    assert {*listing["responses"]} >= {"200", "400", "503"}
    assert {*paths["/patients"]["post"]["responses"]} >= {"201", "400", "409", "503"}
    assert "422" not in paths["/patients"]["post"]["responses"]
    assert {*paths} >= {"/patients", "/patients/{patient_id}"}
