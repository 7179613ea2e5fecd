"""Jobs: how far the work is that was accepted."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path

from service.api.ingest import Ingest
from service.api.job_answers import JobOut, job_document
from service.api.links import JOBS
from service.api.problems import problem_responses
from service.errors import NotFoundError

JobId = Annotated[str, Path(description="Id of the job", examples=["j0123456789abcdef"])]


class JobRoutes:
    """Shows jobs."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(prefix=JOBS, tags=["windows"])
        router.add_api_route(
            "/{job_id}",
            self.show,
            summary="Show how far a job is",
            responses=problem_responses(
                HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
            ),
        )
        return router

    def show(self, job_id: JobId) -> JobOut:
        """Show whether a job waits, is done, or has failed, and its receipt; receipts are kept for a day."""
        job = self._ingest.job(job_id)
        if job is None:
            raise NotFoundError(
                "job: none has this id, or its receipt is too old; POST /v1/windows answers with ids"
            )
        return job_document(job)
