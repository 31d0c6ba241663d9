"""The back office of a small hotel, with Cervella inside: guests see `ospiti/**`, the staff sees all."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

import cervella
from cervella.agent.session import Session

CONFIG = Path(__file__).resolve().parent / "cervella.toml"
MAY_SEE: dict[str, dict[str, Any] | None] = {"guest": {"path": "ospiti/**"}, "staff": None}
"""The filters of each role. A session keeps those that it was opened with: no question widens them."""


class Question(BaseModel):
    session: str = Field(pattern=r"^[\w-]{1,64}$", description="One conversation, such as `camera-12`.")
    role: Literal["guest", "staff"] = "guest"
    question: str = Field(min_length=1, max_length=2000)


def create_app(agent: cervella.Agent | None = None) -> FastAPI:
    """The application. Without an agent it makes its own when it starts; either is closed when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with agent or cervella.Agent(config=CONFIG) as ready:
            await ready.aindex()
            app.state.agent = ready
            yield

    app = FastAPI(title="Locanda del Colle", lifespan=lifespan)

    @app.exception_handler(cervella.CervellaError)
    async def failed(request: Request, error: cervella.CervellaError) -> JSONResponse:
        # The message may name internal files: it is for the log, not for a guest.
        return JSONResponse({"error": error.code}, status_code=503 if error.retryable else 500)

    @app.post("/ask")
    async def ask(asked: Question, talk: Annotated[Session, Depends(conversation)]) -> dict[str, Any]:
        """The complete answer, with its sources."""
        return shown(await talk.aask(asked.question))

    @app.post("/ask/stream")
    async def stream(asked: Question, talk: Annotated[Session, Depends(conversation)]) -> StreamingResponse:
        """The answer as server-sent events: `text` for each delta, then `answer`, or `error`."""
        return StreamingResponse(events(talk, asked.question), media_type="text/event-stream")

    return app


async def conversation(
    request: Request, asked: Question, x_staff_key: Annotated[str | None, Header()] = None
) -> Session:
    """The conversation of a question, opened with the filters of its role."""
    key = os.environ.get("HOTEL_STAFF_KEY", "")
    if asked.role == "staff" and not (key and hmac.compare_digest(key.encode(), (x_staff_key or "").encode())):
        raise HTTPException(status_code=403, detail="The staff signs in with X-Staff-Key.")
    # The role is part of the id: a guest who guesses the name of a conversation of the staff opens another one.
    agent: cervella.Agent = request.app.state.agent
    return await run_in_threadpool(agent.session, f"{asked.role}-{asked.session}", filters=MAY_SEE[asked.role])


async def events(talk: Session, question: str) -> AsyncIterator[str]:
    try:
        async with aclosing(talk.astream(question)) as stream:  # a client that disconnects stops the engine
            async for event in stream:
                if isinstance(event, cervella.TextDelta):
                    yield message("text", event.text)
                elif isinstance(event, cervella.Answered):
                    yield message("answer", shown(event.reply))
    except cervella.CervellaError as error:
        yield message("error", error.code)


def message(kind: str, data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def shown(reply: cervella.Reply) -> dict[str, Any]:
    sources = [
        {"path": one.path, "lines": [one.start_line, one.end_line], "quote": one.quote, "holds": one.supported}
        for one in reply.citations
    ]
    return {"answer": reply.text, "knows": not reply.abstained, "searched": reply.retrieval_query, "sources": sources}


app = create_app()
