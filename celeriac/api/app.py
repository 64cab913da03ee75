"""The application: routes, errors and bounds, put together for one engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

import celeriac
from celeriac.api import auth, errors
from celeriac.api.bounds import Bounds, forms
from celeriac.api.dags.routes import router as dags
from celeriac.api.door import Door
from celeriac.api.service import Service
from celeriac.api.wes.routes import router as wes

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine
    from celeriac.settings import Settings

_DESCRIPTION = "GA4GH Workflow Execution Service 1.1, and the routes that clients of CWL-Airflow know."
_AUTH = """\
How to get in

Send a token with each request, in one of two forms:

  Authorization: Bearer TOKEN
  Authorization: Basic ...        with the token as the password; the user's name does not matter

A token is an API key, which the operator of this service makes (celeriac api-keys add), or a JWT that is signed
with the key that the operator has set. Ask the operator for one.
"""


def create(engine: Engine, settings: Settings, *, guarded: bool = True) -> FastAPI:
    """Return the application. ``guarded``: everybody has to say who it is.

    Raises :class:`~celeriac.errors.SettingsError`. Makes no connection.
    """
    rules = auth.rules(
        settings.api_jwt_key, settings.api_jwt_algorithms, settings.api_jwt_issuer, settings.api_jwt_audience
    )
    app = FastAPI(
        title="Celeriac",
        version=celeriac.__version__,
        description=_DESCRIPTION,
        docs_url=None,  # these pages take their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = Service(engine, settings)
    app.state.door = Door(engine.database, rules, guarded)
    routers = [wes, dags]
    errors.install(app, routers, app.state.service.places)
    for router in routers:
        app.include_router(router)

    @app.get("/auth", response_class=PlainTextResponse, tags=["files"])
    async def how_to_get_in() -> str:
        """Tell people how to get in."""
        return _AUTH

    app.add_middleware(
        Bounds,
        most=settings.api_max_body,
        patience=settings.api_timeout,
        open_to_all=not guarded,
        forms=forms(routers),
    )
    return app
