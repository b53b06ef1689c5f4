"""An authentication back end with FastAPI.

uvicorn fastapi_back_end:app --port 3000
smproxy serve --auth-uri http://localhost:3000
"""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()

#: Where yours looks into a database.
PASSWORDS = {"ann": "an example"}
PUBLISHERS = {"ann"}

live: set[str] = set()


class Question(BaseModel):
    """May this user publish (``publisher``) or watch (``subscriber``) this stream?"""

    type: str
    username: str
    password: str
    streamID: str
    token: str = ""


class End(BaseModel):
    """The stream of a publisher that was allowed has ended."""

    username: str
    streamID: str


@app.post("/validateCredentials")
def validate(question: Question) -> dict[str, bool]:
    """Allow known users to watch, and publishers to publish."""
    known = PASSWORDS.get(question.username) == question.password
    allowed = known and (question.type == "subscriber" or question.username in PUBLISHERS)
    if allowed and question.type == "publisher":
        live.add(question.streamID)
    return {"result": allowed}


@app.post("/invalidateCredentials")
def invalidate(end: End) -> dict[str, bool]:
    """Note that a stream is over."""
    live.discard(end.streamID)
    return {"result": True}


@app.get("/live")
def streams() -> list[str]:
    """Tell which streams are live."""
    return sorted(live)
