from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from service.analysis import Analyst
from service.api.app import create_app
from service.api.examples import WINDOW
from service.api.seen import Outside
from service.api.spec import ApiSpec
from service.observe import Work, identified
from service.pipeline import PipelineSpec
from service.store.sql import SqlStore
from service.tracing import Traces
from service.work.parser import Parser
from service.work.parsing import Limits
from service.work.worker import Worker, WorkSpec
from tests.api.client import Client
from tests.api.fakes import BrokenIngest
from tests.work.traffic import Worked

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(exporter: InMemorySpanExporter) -> Traces:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Traces(provider.get_tracer("test"))


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Callable[[], dict[str, ReadableSpan]]:
    return lambda: {span.name: span for span in exporter.get_finished_spans()}


@pytest.fixture
def store(new_database: Callable[[str], str]) -> Iterator[SqlStore]:
    opened = SqlStore(new_database("sqlite"))
    yield opened
    opened.close()


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def test_a_request_goes_on_with_its_caller_s_trace_down_to_the_stages_of_its_window(
    traces: Traces, spans: Callable[[], dict[str, ReadableSpan]], store: SqlStore
) -> None:
    spec = PipelineSpec()
    worker = Worker(WorkSpec(), store, Analyst(spec, traces), Parser(spec, Limits()), traces)
    app = create_app(ApiSpec(), Worked(store, worker), store, "1", Outside(traces))
    headers = {"traceparent": PARENT, "X-Request-ID": "r1"}
    assert Client(app).post("/v1/windows", json=WINDOW, headers=headers).status_code == 201
    found = spans()
    request = found["POST /v1/windows"]
    assert request.context is not None
    assert f"{request.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{parent_of(request) or 0:016x}" == "b7ad6b7169203331"
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 201,
        "http.route": "/v1/windows",
        "yocho.request": "r1",
    }
    job = found["job window"]
    assert job.context is not None
    assert parent_of(job) == parent_of(found["save"]) == request.context.span_id
    for stage in ("patterns", "sources"):
        assert parent_of(found[stage]) == job.context.span_id
        assert str((found[stage].attributes or {})["yocho.window"]).startswith("w")


def test_transactions_that_belong_to_nothing_are_left_out(
    traces: Traces, spans: Callable[[], dict[str, ReadableSpan]]
) -> None:
    with traces.transaction("read"):
        pass
    assert spans() == {}
    with traces.stage("patterns"), traces.transaction("write"):
        pass
    made = spans()
    assert parent_of(made["transaction write"]) == made["patterns"].context.span_id


def test_a_defect_is_an_error_of_its_span(
    traces: Traces, spans: Callable[[], dict[str, ReadableSpan]], store: SqlStore
) -> None:
    app = create_app(ApiSpec(), BrokenIngest(), store, "1", Outside(traces))
    assert Client(app).post("/v1/windows", json=WINDOW).status_code == 500
    span = spans()["POST /v1/windows"]
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["http.response.status_code"] == 500


def test_a_job_says_its_outcome_and_its_id(traces: Traces, spans: Callable[[], dict[str, ReadableSpan]]) -> None:
    work = Work("upload")
    with identified(job="j1"), traces.work(work), traces.transaction("write"):
        work.outcome = "done"
    found = spans()
    assert dict(found["job upload"].attributes or {}) == {"yocho.job": "j1", "yocho.outcome": "done"}
    job = found["job upload"].context
    assert job is not None
    assert parent_of(found["transaction write"]) == job.span_id
