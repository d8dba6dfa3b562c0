"""Patients over HTTP, as front ends written for json-server ask for them."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Request, Response, status
from fastapi_baseline.errors import InvalidRequestError, NotFoundError
from fastapi_baseline.persistence import (
    DatabaseUnavailableError,
    ReadTransaction,
    Transaction,
    UniqueViolationError,
)
from fastapi_baseline.problems import problem_responses
from pydantic_core import to_json

from patients.domains.patients.links import link_header
from patients.domains.patients.models import Patient
from patients.domains.patients.parameters import PARAMETERS
from patients.domains.patients.query import PatientQuery, parse_query
from patients.domains.patients.repository import PatientReader, PatientRepository
from patients.domains.patients.schemas import PatientIn, PatientOut
from patients.domains.patients.service import PatientService

LISTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The patients, in the order in which they were added unless sorted",
        "headers": {
            "X-Total-Count": {
                "description": "How many there are, if a part was asked for",
                "schema": {"type": "integer"},
            },
            "Link": {
                "description": "first, prev, next and last page, if a page was asked for",
                "schema": {"type": "string"},
            },
        },
    }
}

router = APIRouter(
    prefix="/patients",
    tags=["patients"],
    responses=problem_responses(InvalidRequestError, DatabaseUnavailableError),
)


async def _read(session: ReadTransaction) -> PatientReader:
    return PatientReader(session)


async def _serve(session: Transaction) -> PatientService:
    return PatientService(PatientRepository(session))


async def _query(request: Request) -> PatientQuery:
    return parse_query(request.url.query)


PatientsToRead = Annotated[PatientReader, Depends(_read)]
Patients = Annotated[PatientService, Depends(_serve)]
Query = Annotated[PatientQuery, Depends(_query)]
PatientId = Annotated[str, Path(description="The `id`, not the `patientID`", examples=["bdc67"])]


@router.head("", response_model=list[PatientOut], include_in_schema=False)
@router.head("/", response_model=list[PatientOut], include_in_schema=False)
@router.get("/", response_model=list[PatientOut], include_in_schema=False)
@router.get(
    "",
    summary="List patients",
    response_model=list[PatientOut],
    responses=LISTED,
    openapi_extra={"parameters": PARAMETERS},
)
async def list_patients(query: Query, patients: PatientsToRead, request: Request) -> Response:
    """Return the patients that match every filter, as a bare array."""
    found = await patients.search(query)
    headers: dict[str, str] = {}
    if query.window is not None and found.total is not None:
        headers["X-Total-Count"] = str(found.total)
        if query.window.page is not None:
            headers["Link"] = link_header(
                request.url, query.window, found=len(found.patients), total=found.total
            )
    # Each was checked when it was stored; to check a list of thousands again takes longer than
    # all the rest of the answer.
    return Response(to_json(found.patients), media_type="application/json", headers=headers)


@router.head("/{patient_id:path}", response_model=PatientOut, include_in_schema=False)
@router.get(
    "/{patient_id:path}",
    summary="Get a patient",
    response_model=PatientOut,
    responses=problem_responses(NotFoundError),
)
async def get_patient(patient_id: PatientId, patients: PatientsToRead) -> Patient:
    """Return one patient."""
    patient = None if "\0" in patient_id else await patients.find_by_id(patient_id)
    if patient is None:
        raise NotFoundError("There is no patient with this id.")
    return patient


@router.post(
    "",
    summary="Register a patient",
    response_model=PatientOut,
    status_code=status.HTTP_201_CREATED,
    responses=problem_responses(UniqueViolationError),
)
async def register_patient(
    body: PatientIn, patients: Patients, request: Request, response: Response
) -> Patient:
    """Store a patient under a `patientID` that no other patient has."""
    patient = await patients.register(body)
    collection = str(request.url.replace(query="")).rstrip("/")
    response.headers["Location"] = f"{collection}/{quote(patient.id, safe='')}"
    return patient
