"""What schemathesis asks of every answer, besides its own checks; it loads this file (``SCHEMATHESIS_HOOKS``)."""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis
from schemathesis import CheckContext, GenerationMode, Response

canaries = [text for text in os.environ.get("BERTH_CANARIES", "").split(",") if text]
outside = os.environ.get("BERTH_OUTSIDE") == "1"
# Refused although its shape is right: what it asks for contradicts what was asked, or what there is, before.
sensible = {"idempotency-mismatch", "duration-out-of-range", "exposure-unavailable"}
free = {("GET", "/api/scenarios"), ("POST", "/api/users")}


@schemathesis.check
def nothing_of_another_user_is_seen(ctx: CheckContext, response: Response, case: Any) -> None:
    text = response.text + str(dict(response.headers))
    assert not [canary for canary in canaries if canary in text], "the answer shows what is another user's"


@schemathesis.check
def outsiders_get_nothing(ctx: CheckContext, response: Response, case: Any) -> None:
    if outside and (case.method.upper(), case.path) not in free:
        assert response.status_code >= 400, "somebody who may not got something"


@schemathesis.check
def refusals_are_problem_documents(ctx: CheckContext, response: Response, case: Any) -> None:
    if response.status_code < 400:
        return
    assert response.headers["content-type"] == ["application/problem+json"], response.headers["content-type"]
    body = json.loads(response.text)
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == response.status_code
    for word in ("Traceback", "pymongo", "redis", "aiohttp"):
        assert word not in response.text


@schemathesis.check
def a_right_shape_is_not_called_malformed(ctx: CheckContext, response: Response, case: Any) -> None:
    positive = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    if positive and response.status_code == 422:
        assert json.loads(response.text)["reason"] in sensible, response.text
