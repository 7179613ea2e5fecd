"""The allow-list: sources that may scan."""

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from service.alerts.allow import read_allow_list
from service.api.links import ALLOW_RULES
from service.api.problems import problem_responses
from service.api.resources import AllowRuleList, AllowRuleOut
from service.api.schemas import AllowRuleIn
from service.api.writes import PROBLEMS, actor, body_of, read_model
from service.errors import InputError, NotFoundError, SettingsError
from service.export.document import format_time
from service.store.allow_rules import KeptRule, rule_id
from service.store.sql import SqlStore

RuleId = Annotated[str, Path(description="Id of the rule", examples=["r0123456789abcdef"])]

_UNKNOWN = "allow-rule: none has this id; GET /v1/allow-rules lists them"


class AllowRoutes:
    """Shows, adds and removes rules; those of the configured file are shown only."""

    def __init__(self, store: SqlStore, configured: Iterable[str], clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._configured = {rule_id(rule): _of_file(rule) for rule in configured}
        self._clock = clock

    def readers(self) -> APIRouter:
        """Return the routes that read."""
        problems = problem_responses(HTTPStatus.SERVICE_UNAVAILABLE)
        router = APIRouter(prefix=ALLOW_RULES, tags=["allow-rules"], responses=problems)
        missing = problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
        router.add_api_route("", self.list, summary="List the rules of the allow-list")
        router.add_api_route("/{identifier}", self.show, summary="Show a rule", responses=missing)
        return router

    def writers(self) -> APIRouter:
        """Return the routes that write."""
        problems = problem_responses(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
        router = APIRouter(prefix=ALLOW_RULES, tags=["allow-rules"], responses=problems)
        router.add_api_route(
            "",
            self.add,
            methods=["POST"],
            summary="Add a rule",
            status_code=HTTPStatus.CREATED,
            responses=PROBLEMS | {200: {"model": AllowRuleOut, "description": "The rule was there already"}},
            openapi_extra=body_of(AllowRuleIn),
        )
        router.add_api_route(
            "/{identifier}",
            self.remove,
            methods=["DELETE"],
            summary="Remove a rule",
            status_code=HTTPStatus.NO_CONTENT,
            responses=problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
        )
        return router

    def list(self) -> AllowRuleList:
        """List all rules: those of the file that YOCHO_ALLOW_LIST names, then those added here, oldest first."""
        return AllowRuleList(items=[*self._rules().values()])

    def show(self, identifier: RuleId) -> AllowRuleOut:
        """Show one rule."""
        rules = self._rules()
        if identifier not in rules:
            raise NotFoundError(_UNKNOWN)
        return rules[identifier]

    async def add(self, request: Request, response: Response) -> AllowRuleOut:
        """Let sources scan: a network or address, a service or range of ports, or both.

        From the next window on, what the rules cover is kept, marked with them, and not told. Alerts of before stay
        as they are.
        """
        wanted = await read_model(request, AllowRuleIn)
        added, rule = await run_in_threadpool(self._add, _canonical(wanted.rule), wanted.note, actor(request))
        if not added:
            response.status_code = HTTPStatus.OK
        response.headers["Location"] = f"{ALLOW_RULES}/{rule.id}"
        return rule

    def _add(self, rule: str, note: str, who: str) -> tuple[bool, AllowRuleOut]:
        added = False
        if rule_id(rule) not in self._configured:
            with self._store.begin() as unit:
                added = unit.allow_rules.add(KeptRule(rule, note, self._clock(), who))
        return added, self._rules()[rule_id(rule)]

    def remove(self, identifier: RuleId) -> None:
        """Remove a rule; alerts that it has marked stay as they are."""
        if identifier in self._configured:
            raise HTTPException(
                HTTPStatus.CONFLICT, "the rule stands in the file that YOCHO_ALLOW_LIST names; remove it there"
            )
        with self._store.begin() as unit:
            unit.allow_rules.remove(identifier)

    def _rules(self) -> dict[str, AllowRuleOut]:
        with self._store.read() as unit:
            kept = {rule.id: _of_people(rule) for rule in unit.allow_rules.all()}
        return self._configured | {key: rule for key, rule in kept.items() if key not in self._configured}


def _canonical(rule: str) -> str:
    """Return a rule as it is kept; raises InputError if it is none."""
    try:
        rules = read_allow_list([rule], "rule").rules
    except SettingsError as error:
        # It was written for a file and names its line.
        raise InputError("rule", str(error).partition("line 1: ")[2]) from error
    if not rules:
        raise InputError("rule", "is empty; write a network, a service, or both, such as 10.0.0.0/8 tcp/443")
    return rules[0].text


def _of_file(rule: str) -> AllowRuleOut:
    return AllowRuleOut(id=rule_id(rule), rule=rule, note="", origin="file", created_at=None, created_by=None)


def _of_people(kept: KeptRule) -> AllowRuleOut:
    return AllowRuleOut(
        id=kept.id,
        rule=kept.rule,
        note=kept.note,
        origin="api",
        created_at=format_time(kept.created),
        created_by=kept.created_by,
    )
