"""Users: registration and tokens, and the one container of JuiceTokens' manager per user."""

from __future__ import annotations

from fastapi import Depends, FastAPI, Response

from berth.leases.api.callers import Callers
from berth.leases.api.desk import Desk
from berth.leases.api.models import ContainerInfo, Me, ProblemDocument, UserBody, UserContainerBody, UserMade, Username
from berth.leases.api.params import Idempotency, Wait
from berth.leases.engine.admission import Asked
from berth.leases.errors import Refused
from berth.leases.store.users import Caller


def user_routes(app: FastAPI, desk: Desk, callers: Callers) -> None:
    """``/api/users``."""
    caller = Depends(callers.of)

    @app.post("/api/users", status_code=201, tags=["users"], response_model_by_alias=True)
    async def register(
        body: UserBody, key: Idempotency = None, wallet: str | None = Depends(callers.wallet)
    ) -> UserMade:
        """Register a name, and get its API token: this once. A signed-in wallet becomes the user's.

        An answer that was lost: the same again, with the same key of 16 characters or more, gives another token for
        two minutes.
        """
        return await desk.register(body.username, wallet, key)

    @app.get("/api/users/me", tags=["users"])
    async def me(who: Caller = caller) -> Me:
        """Who the caller is here."""
        return await desk.me(who)

    @app.put(
        "/api/users/{username}/container",
        status_code=201,
        tags=["users"],
        responses={200: {"model": ContainerInfo, "description": "The user has one already"},
                   409: {"model": ProblemDocument, "description": "The user has another one"}},
    )  # fmt: skip
    async def create(
        username: Username, body: UserContainerBody, response: Response, key: Idempotency = None, wait: Wait = 0,
        who: Caller = caller,
    ) -> ContainerInfo:  # fmt: skip
        """Create the user's container, as JuiceTokens' ``createUserContainer``; the same again answers the same."""
        owner = callers.acting(who, username)
        asked = Asked(
            scenario=body.scenario_type or desk.settings.catalogue.default,
            seconds=None if body.lifetime is None else body.lifetime * 3600,
            tokens=body.initial_tokens,
            exposure=body.exposure,
            token=body.pass_,
        )
        made, new = await desk.provide(owner, asked, key, wait, sole=True)
        if not new:
            response.status_code = 200
        return made

    @app.get("/api/users/{username}/container", tags=["users"])
    async def read(username: Username, who: Caller = caller) -> ContainerInfo:
        """The user's container."""
        found = await desk.of_user(callers.acting(who, username))
        if found is None:
            raise Refused(404, "not-found", f"{username} has no container")
        return found

    @app.delete("/api/users/{username}/container", status_code=204, tags=["users"])
    async def delete(username: Username, who: Caller = caller) -> None:
        """Delete the user's container."""
        await desk.delete_of_user(callers.acting(who, username))
