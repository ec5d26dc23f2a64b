"""A service's JSON API, as a program calls it, and what can go wrong for one that does.

::

    ClientError
    ├── WrongUsage         what the caller gave cannot be used as it is
    ├── Unreachable        the service does not answer; trying again may help
    └── ApiRefused         the service refused; ``reason`` says why
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx

_connects_within: Final = 5.0  # seconds
_pause: Final = 0.5  # seconds before the second try; doubling
_away: Final = (502, 503, 504)  # of HTTP: what a gateway answers for a service that is not up


class ClientError(Exception):
    """Anything on the way; the message is fit for the person who asked."""


class WrongUsage(ClientError):
    """What the caller gave cannot be used as it is: a URL that is none, a file that cannot be read."""


class Unreachable(ClientError):
    """The service does not answer; trying again may help."""


class ApiRefused(ClientError):
    """The service refused: HTTP ``status``, ``reason`` code, ``retry_after`` seconds where it may work later."""

    def __init__(self, message: str, status: int, reason: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.retry_after = status, reason, retry_after


class JsonApi:
    """The API called ``name`` at the gateway of ``url``; a context manager.  Of a URL with a path, its host counts.

    ``answers_within``: how long the service may take, in seconds.  Errors: WrongUsage for a URL that is none.
    """

    def __init__(self, url: str, name: str, *, answers_within: float) -> None:
        self.url, self._name = _origin(url), name
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(answers_within, connect=_connects_within),
            headers={"Accept": "application/json"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        tries: int = 1,
    ) -> dict[str, Any]:
        """What is answered to one request; empty where there is nothing to say (204).

        ``tries``: how often it is sent where no answer comes, for what may be done twice, or knows that it was done.
        Errors: Unreachable, also where something else answers or a gateway does in the service's place; ApiRefused.
        """
        for attempt in range(tries - 1):
            try:
                return self._once(method, path, body, query, headers)
            except Unreachable:
                time.sleep(_pause * 2**attempt)
        return self._once(method, path, body, query, headers)

    def _once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, json=body, params=query, headers=headers)
        except httpx.HTTPError as error:
            told = str(error) or type(error).__name__
            raise Unreachable(f"{self.url} does not answer ({told}): is the stack up?") from None
        if response.status_code == 204:
            return {}
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Unreachable(
                f"what answers at {self.url}{path} (HTTP {response.status_code}) is not {self._name}: "
                "name the gateway of a berth stack that has it"
            )
        if response.is_success:
            return answer
        if response.status_code in _away and not answer.get("reason"):  # the gateway's own
            raise Unreachable(self._why_away(str(answer.get("detail") or f"{self._name} is not up")))
        raise refusal(answer, response.status_code, response.headers.get("retry-after", ""))

    def _why_away(self, told: str) -> str:
        """Why the gateway has no service to ask, of which it says what is ``told``."""
        return f"{self.url}: {told}"


def refusal(problem: Mapping[str, Any], status: int, wait: str = "") -> ApiRefused:
    """A problem document as what is raised; ``wait`` is the header Retry-After."""
    told = str(problem.get("detail") or problem.get("title") or f"refused without a reason (HTTP {status})")
    return ApiRefused(told, status, str(problem.get("reason") or ""), float(wait) if wait.isdigit() else None)


def _origin(url: str) -> str:
    """Scheme, host and port of a URL, as a browser spells an origin; WrongUsage where it is none."""
    try:
        parts = httpx.URL(url)
        usable = parts.scheme in ("http", "https") and bool(parts.host) and not set(parts.host) & set(" %")
        usable = usable and parts.port in (None, *range(1, 65536))
    except httpx.InvalidURL:
        usable = False
    if not usable:
        raise WrongUsage(f"{url!r} is not a URL: https://host[:port] is")
    return f"{parts.scheme}://{parts.netloc.decode()}"
