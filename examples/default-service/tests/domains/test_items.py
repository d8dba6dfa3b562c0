"""Items over HTTP."""

from uuid import uuid4

from fastapi import FastAPI
from fastapi_baseline.testing import as_user
from httpx2 import AsyncClient

LAMP = {"name": "Blue lamp", "quantity": 3}


async def test_keeps_an_item_that_was_added(client: AsyncClient) -> None:
    added = await client.post("/items", json=LAMP)

    assert added.status_code == 201
    stored = await client.get(added.headers["location"])
    assert stored.json() == added.json()
    assert stored.json()["name"] == "Blue lamp"


async def test_refuses_a_name_that_is_taken(client: AsyncClient) -> None:
    await client.post("/items", json=LAMP)

    again = await client.post("/items", json=LAMP)

    assert again.status_code == 409
    assert len((await client.get("/items")).json()["items"]) == 1


async def test_names_each_field_that_is_wrong(client: AsyncClient) -> None:
    response = await client.post("/items", json={"name": " ", "quantity": -1})

    assert response.status_code == 422
    pointers = [error["pointer"] for error in response.json()["errors"]]
    assert pointers == ["#/name", "#/quantity"]


async def test_finds_items_by_name_and_stock(client: AsyncClient) -> None:
    for name, quantity in (("Red lamp", 0), ("Blue lamp", 3), ("Chair", 1)):
        await client.post("/items", json={"name": name, "quantity": quantity})

    response = await client.get("/items", params={"q": "LAMP", "quantity[gt]": 0})

    assert [item["name"] for item in response.json()["items"]] == ["Blue lamp"]


async def test_pages_through_all_items_in_order(client: AsyncClient) -> None:
    for name in ("c", "a", "d", "b"):
        await client.post("/items", json={"name": name})

    first = (await client.get("/items", params={"sort": "-name", "limit": 3})).json()
    rest = (
        await client.get("/items", params={"sort": "-name", "limit": 3, "cursor": first["next"]})
    ).json()

    assert [item["name"] for item in first["items"] + rest["items"]] == ["d", "c", "b", "a"]
    assert rest["next"] is None


async def test_keeps_a_list_until_an_item_has_changed(client: AsyncClient) -> None:
    made = await client.get("/items")
    kept = await client.get("/items")
    await client.post("/items", json=LAMP)

    anew = await client.get("/items")

    assert "hit" not in made.headers["cache-status"]
    assert "hit" in kept.headers["cache-status"]
    assert (kept.json()["items"], len(anew.json()["items"])) == ([], 1)


async def test_refuses_a_filter_that_is_not_offered(client: AsyncClient) -> None:
    response = await client.get("/items", params={"version": 1})

    assert response.status_code == 422


async def test_changes_only_what_the_body_names(client: AsyncClient) -> None:
    added = await client.post("/items", json=LAMP)

    response = await client.patch(
        added.headers["location"],
        json={"quantity": 2},
        headers={"If-Match": added.headers["etag"]},
    )

    assert response.status_code == 200
    assert response.json()["name"] == "Blue lamp"
    assert response.json()["quantity"] == 2


async def test_changes_nothing_that_has_changed_meanwhile(client: AsyncClient) -> None:
    added = await client.post("/items", json=LAMP)
    path, seen = added.headers["location"], {"If-Match": added.headers["etag"]}
    await client.patch(path, json={"quantity": 2}, headers=seen)

    stale = await client.patch(path, json={"quantity": 1}, headers=seen)
    blind = await client.patch(path, json={"quantity": 1})

    assert (stale.status_code, blind.status_code) == (412, 428)
    assert (await client.get(path)).json()["quantity"] == 2


async def test_removes_an_item_once_it_is_out_of_stock(client: AsyncClient) -> None:
    added = await client.post("/items", json=LAMP)
    path, seen = added.headers["location"], {"If-Match": added.headers["etag"]}

    refused = await client.delete(path)
    await client.patch(path, json={"quantity": 0}, headers=seen)
    removed = await client.delete(path)

    assert (refused.status_code, refused.json()["code"]) == (409, "item_in_stock")
    assert removed.status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_says_that_an_item_does_not_exist(client: AsyncClient) -> None:
    response = await client.get(f"/items/{uuid4()}")

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


async def test_asks_who_it_is_and_what_they_may(app: FastAPI, anonymous: AsyncClient) -> None:
    assert (await anonymous.get("/items")).status_code == 401

    async with as_user(app, scopes=["items:read"]) as reader:
        seen, refused = await reader.get("/items"), await reader.post("/items", json=LAMP)

    assert (seen.status_code, refused.status_code) == (200, 403)


async def test_refuses_who_adds_items_too_often(client: AsyncClient) -> None:
    answers = [await client.post("/items", json={"name": f"Lamp {n}"}) for n in range(100)]

    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers[:60]} == {201}
    assert refused[0].json()["code"] == "quota_exceeded"
    assert int(refused[0].headers["retry-after"]) >= 1
