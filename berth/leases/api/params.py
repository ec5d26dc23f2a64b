"""Parameters that several routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path, Query

Idempotency = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", pattern=r"^[\x21-\x7e]{1,64}$", description="does it once, however often it is sent"
    ),
]
Wait = Annotated[float, Query(ge=0, le=30, description="seconds to wait until it runs, or is gone")]
LeaseId = Annotated[str, Path(pattern=r"^[0-9a-z-]{1,64}$", description="the lease's id")]
SessionId = Annotated[str, Path(pattern=r"^[0-9a-z]{1,32}\.[0-9a-f]{8,32}$", description="`id` of the session")]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(pattern=r"^[0-9a-z]{26}$", description="`next` of the page before")]
LogCursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,20}-[0-9]{1,20}-[0-9]{1,20}$", description="`cursor` of the last line seen")
]
Role = Annotated[str, Query(pattern=r"^[a-z0-9-]{1,20}$", description="which of its containers")]
