import json
from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline import errors, problems
from fastapi_baseline.errors import BaselineError, FieldError
from fastapi_baseline.problems import Problem, ProblemResponse


def _body(fault: problems.Fault) -> dict[str, Any]:
    return json.loads(bytes(ProblemResponse(fault, instance="/x", request_id="r").body))


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.BaselineError, 500),
        (errors.ConfigurationError, 500),
        (errors.MissingExtraError, 500),
        (errors.InvalidRequestError, 400),
        (errors.UnauthenticatedError, 401),
        (errors.ForbiddenError, 403),
        (errors.NotFoundError, 404),
        (errors.ConflictError, 409),
        (errors.PreconditionFailedError, 412),
        (errors.UnprocessableError, 422),
        (errors.PreconditionRequiredError, 428),
        (errors.TooManyRequestsError, 429),
        (errors.UnavailableError, 503),
        (errors.DeadlineExceededError, 504),
    ],
)
def test_gives_each_category_its_status(kind: type[BaselineError], status: int) -> None:
    assert problems.status_of(kind()) == status


def test_gives_a_subclass_the_status_of_its_category_and_its_own_code() -> None:
    class OverdrawnError(errors.ConflictError):
        code = "overdrawn"

    fault = problems.fault_of(OverdrawnError("The account has 3 EUR."))

    assert (fault.status, fault.code, fault.detail) == (409, "overdrawn", "The account has 3 EUR.")


def test_shows_nothing_of_an_error_that_is_for_operators() -> None:
    fault = problems.fault_of(errors.ConfigurationError("DATABASE_URL has the password hunter2."))

    assert fault.code == "internal_error"
    assert "hunter2" not in fault.detail


def test_rounds_the_time_to_wait_up() -> None:
    error = errors.UnavailableError(retry_after=timedelta(milliseconds=1200))

    assert problems.fault_of(error).headers == {"Retry-After": "2"}


def test_carries_the_challenge_of_who_is_not_authenticated() -> None:
    error = errors.UnauthenticatedError(challenge='Bearer realm="orders"')

    assert problems.fault_of(error).headers == {"WWW-Authenticate": 'Bearer realm="orders"'}


@pytest.mark.parametrize(
    ("status", "title", "code"),
    [
        (404, "Not Found", "not_found"),
        (405, "Method Not Allowed", "method_not_allowed"),
        (413, "Content Too Large", "content_too_large"),
        (418, "I'm a Teapot", "i_m_a_teapot"),
        (422, "Unprocessable Content", "unprocessable"),
        (499, "Error", "error"),
    ],
)
def test_names_a_bare_status_the_same_on_every_python(status: int, title: str, code: str) -> None:
    fault = problems.fault_of_status(status)

    assert (problems.title_of(status), fault.code, fault.detail) == (title, code, title)


def test_is_described_by_its_own_schema() -> None:
    fault = problems.fault_of(
        errors.ConflictError(fields=[FieldError(path=("a",), detail="taken", code="unique")])
    )

    problem = Problem.model_validate(_body(fault))

    assert problem.request_id == "r"
    assert problem.errors is not None
    assert problem.errors[0].location == "body"


def test_escapes_a_pointer_as_json_pointer_and_as_uri_fragment() -> None:
    error = FieldError(path=("a/b", "~", 0, "é %"), detail="no", code="no")

    body = _body(problems.fault_of(errors.UnprocessableError(fields=[error])))

    assert body["errors"][0]["pointer"] == "#/a~1b/~0/0/%C3%A9%20%25"


def test_survives_a_name_that_is_half_of_a_surrogate_pair() -> None:
    fault = problems.validation_fault(
        [{"loc": ("body", "\ud800"), "msg": "not \ud800", "type": "extra_forbidden"}], status=422
    )

    assert _body(fault)["errors"][0]["pointer"] == "#/%3F"


def test_lists_no_more_than_a_hundred_faults_and_counts_them_all() -> None:
    faults = [{"loc": ("body", n), "msg": "no", "type": "no"} for n in range(250)]

    body = _body(problems.validation_fault(faults, status=400))

    assert len(body["errors"]) == problems.MAX_FIELD_ERRORS == 100
    assert "250" in body["detail"]


def test_does_not_take_the_place_of_a_syntax_error_for_a_field() -> None:
    fault = {
        "loc": ("body", 17),
        "msg": "JSON decode error",
        "type": "json_invalid",
        "ctx": {"error": "Expecting value"},
    }

    error = _body(problems.validation_fault([fault], status=422))["errors"][0]

    assert error["pointer"] == "#"
    assert "17" in error["detail"]


def test_documents_errors_of_one_status_as_examples_of_one_response() -> None:
    class OverdrawnError(errors.ConflictError):
        code = "overdrawn"
        default_message = "The account is overdrawn."

    responses = problems.problem_responses(
        errors.NotFoundError, OverdrawnError, errors.ConflictError
    )

    assert responses.keys() == {404, 409}
    content = responses[409]["content"]["application/problem+json"]
    assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert content["examples"].keys() == {"overdrawn", "conflict"}
    assert content["examples"]["overdrawn"]["value"] == {
        "status": 409,
        "code": "overdrawn",
        "detail": "The account is overdrawn.",
    }


def test_renames_fields_of_the_body_only() -> None:
    fields = [
        FieldError(path=("patient_id",), detail="", code=""),
        FieldError(path=("patient_id",), detail="", code="", location="query"),
        FieldError(path=(), detail="", code=""),
    ]
    fault = problems.fault_of(errors.ConflictError(fields=fields))

    renamed = problems.rename_fields(fault, {"patient_id": "patientID"})

    assert [field.path for field in renamed.fields] == [("patientID",), ("patient_id",), ()]
