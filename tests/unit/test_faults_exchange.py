"""Faults of WHIP and WHEP exchanges, without sockets: what they make of requests and of answers."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from smproxy.faults.catalog import find
from smproxy.faults.exchange_fault import (
    Cut,
    ExchangeFault,
    HttpExchange,
    HttpOutcome,
    Unanswered,
    header,
)
from smproxy.faults.fault_registry import FaultRegistry
from smproxy.manager.faults.exchange import ExchangePipeline, SessionActions
from smproxy.signaling.http_exchange import HttpRequest, HttpResponse
from smproxy.signaling.payloads import ConnectError

from tests.hooks_support import run_virtual

SERVER = "http://localhost:5080"
ENDPOINT = "/live/whip/endpoint/s1"
SESSION = "/live/whip/resource/s1/0123"
ANSWER = (
    b"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    + b"".join(b"a=candidate:%d 1 udp 1 192.0.2.%d 9 typ host\r\n" % (n, n) for n in range(1, 9))
    + b"a=end-of-candidates\r\n"
)
CREATED = HttpResponse(
    201,
    (
        ("Content-Type", "application/sdp"),
        ("ETag", '"one"'),
        ("Link", '<stun:stun.example>; rel="ice-server"'),
        ("Link", '</x>; rel="other"'),
        ("Location", SESSION),
    ),
    ANSWER,
)


class Session:
    """The session of one client, with faults in front of an origin that answers the same to everything."""

    def __init__(self, *faults: ExchangeFault, answer: HttpResponse = CREATED) -> None:
        self.noted: list[Any] = []
        self.reached: list[str] = []
        self.answer = answer
        self.due: list[tuple[float, Any]] = []
        actions = SessionActions(
            report_refusal=self.noted.append,
            end=lambda: self.noted.append("end"),
            later=lambda seconds, work: self.due.append((seconds, work)),
        )
        self.pipeline = ExchangePipeline([(fault, self.noted.append) for fault in faults], actions)

    async def ask(
        self, method: str = "POST", path: str = ENDPOINT, query: str = "", protocol: Any = "whip"
    ) -> HttpOutcome:
        """Send a request."""

        async def forward() -> HttpResponse:
            self.reached.append(method)
            return self.answer

        exchange = HttpExchange(HttpRequest(method, path, query), protocol, SERVER)
        before = len(self.reached)
        outcome, reached = await self.pipeline.run(exchange, forward)
        assert reached is (len(self.reached) > before)
        return outcome

    def now(self, *asked: Any, **named: Any) -> Any:
        """Send a request and return what becomes of it."""
        return asyncio.run(self.ask(*asked, **named))


def make(name: str, **values: Any) -> ExchangeFault:
    """Make a fault with some values."""
    kind = find(name)
    assert issubclass(kind, ExchangeFault)
    return kind(kind.read(values), random.Random(1))


@pytest.mark.parametrize(
    ("status", "name", "value"),
    [
        (401, "WWW-Authenticate", 'Bearer realm="stream manager"'),
        (403, None, None),
        (404, None, None),
        (405, "Allow", "GET, HEAD, OPTIONS"),
        (409, "Retry-After", "7"),
        (412, None, None),
        (415, "Accept-Post", "application/sdp"),
        (422, None, None),
        (428, None, None),
        (429, "Retry-After", "7"),
        (499, None, None),
        (501, None, None),
        (503, "Retry-After", "7"),
    ],
)
def test_error(status: int, name: str | None, value: str | None) -> None:
    """A request is refused with the status, one sentence, and the header that its RFC wants, before the origin has it."""
    session = Session(make("http-error", status=status, retry_after=7, detail="No."))
    refusal = session.now()
    assert (refusal.status, session.reached, session.noted) == (status, [], [f"POST {status}"])
    assert json.loads(refusal.body)["detail"] == "No."
    assert header(refusal, "Content-Type") == "application/problem+json"
    assert {key for key, _ in refusal.headers} - {"Content-Type", "Accept-Patch"} == ({name} if name else set())
    if name is not None:
        assert header(refusal, name) == value
    assert session.now("PATCH") == CREATED


def test_error_for_one_method() -> None:
    """The method that is refused can be chosen; a refusal without Retry-After, too."""
    for method in ("PATCH", "DELETE", "OPTIONS"):
        session = Session(make("http-error", on=method.lower(), status=503, retry_after=0))
        assert session.now("POST") == CREATED
        session.reached.clear()
        assert header(session.now(method), "Retry-After") is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect(status: int) -> None:
    """A request is sent to the same endpoint, marked and without its own simulate, where it is let in; or elsewhere."""
    session = Session(make("http-redirect", status=status))
    answer = session.now("POST", query="customerScope=a&simulate=http-redirect&x=1")
    assert (answer.status, answer.headers) == (status, (("Location", f"{ENDPOINT}?customerScope=a&x=1&redirected=1"),))
    assert session.now("POST", query="customerScope=a&x=1&redirected=1") == CREATED
    elsewhere = Session(make("http-redirect", status=status, location="https://other.example/whip", on="patch"))
    assert header(elsewhere.now("PATCH"), "Location") == "https://other.example/whip"


@pytest.mark.parametrize(
    ("form", "location"), [("none", None), ("absolute", SERVER + SESSION), ("relative", "../resource/s1/0123")]
)
def test_location(form: str, location: str | None) -> None:
    """The session's URL is left out, or in another form that means the same."""
    session = Session(make("http-location", form=form))
    answer = session.now()
    assert (answer.status, header(answer, "Location"), answer.body) == (201, location, ANSWER)
    assert session.now("PATCH") == CREATED


def test_content_type() -> None:
    """A successful answer has another type."""
    answer = Session(make("http-content-type", type="text/html")).now()
    assert [value for name, value in answer.headers if name == "Content-Type"] == ["text/html"]
    refusal = HttpResponse(422, (("Content-Type", "a/b"),), b"x")
    assert Session(make("http-content-type"), answer=refusal).now() == refusal


def test_broken_answer() -> None:
    """An answer is half of itself, no SDP, empty, or cut; a refusal is let through."""
    bodies = {how: Session(make("http-broken-answer", how=how)).now() for how in ("half", "garbage", "empty", "cut")}
    assert bodies["half"].body == ANSWER[: len(ANSWER) // 2]
    assert len(bodies["garbage"].body) == 200
    assert bodies["empty"].body == b""
    assert bodies["cut"] == Cut(CREATED)
    assert Session(make("http-broken-answer"), answer=HttpResponse(422)).now() == HttpResponse(422)


def test_delay() -> None:
    """The answer to one method takes so many seconds more; the request does not."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        session = Session(make("http-delay", seconds=5.0, on="patch"))
        began = loop.time()
        asked = asyncio.ensure_future(session.ask("PATCH"))
        await asyncio.sleep(1)
        assert session.reached == ["PATCH"]
        assert await asked == CREATED
        assert loop.time() - began == pytest.approx(5)
        await session.ask("POST")
        assert loop.time() - began == pytest.approx(5)

    run_virtual(main())


def test_latency() -> None:
    """Requests and answers are held, each by as much."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for sender, seconds in (("both", 4), ("client", 2), ("origin", 2)):
            began = loop.time()
            session = Session(make("latency", ms=2000, sender=sender))
            assert await session.ask("POST") == CREATED
            assert loop.time() - began == pytest.approx(seconds)
            assert session.noted == [""]

    run_virtual(main())


def test_unanswered() -> None:
    """A request gets no answer, whether or not it has reached the origin."""
    session = Session(make("http-unanswered"))
    assert session.now("DELETE") == Unanswered()
    assert session.reached == ["DELETE"]
    lost = Session(make("http-unanswered", lost=True, on="post"))
    assert lost.now() == Unanswered()
    assert lost.reached == []


def test_etag() -> None:
    """The entity tag is another, none, weak or no tag at all."""
    tags = {
        how: header(Session(make("http-etag", how=how)).now(), "ETag") for how in ("changed", "missing", "weak", "any")
    }
    assert tags["changed"] not in {None, '"one"'}
    assert str(tags["changed"]).startswith('"')
    assert (tags["missing"], tags["weak"], tags["any"]) == (None, 'W/"one"', "*")


def test_session_gone() -> None:
    """Some time after the answer the origin loses the session, once."""
    session = Session(make("http-session-gone", after=3))
    assert session.now() == CREATED
    ((seconds, end),) = session.due
    assert (seconds, session.noted) == (3, [])
    end()
    assert session.noted == ["", "end"]


def test_ice_servers() -> None:
    """The answer names servers that do not answer, in place of others, and keeps other links."""
    answer = Session(make("http-ice-servers")).now()
    links = [value for name, value in answer.headers if name == "Link"]
    assert links == [
        '</x>; rel="other"',
        '<stun:192.0.2.1:3478>; rel="ice-server"',
        '<turn:192.0.2.1:3478?transport=udp>; rel="ice-server"; username="fault"; credential="fault"; '
        'credential-type="password"',
    ]


@pytest.mark.parametrize(
    ("name", "status", "error", "protocol"),
    [
        ("name-in-use", 409, ConnectError.NAME_IN_USE, "whip"),
        ("publish-denied", 403, ConnectError.REJECTED, "whip"),
        ("offer-error", 422, ConnectError.INVALID_SDP, "whip"),
        ("offer-error", 422, ConnectError.INVALID_SDP, "whep"),
    ],
)
def test_signaling_faults_that_refuse(name: str, status: int, error: ConnectError, protocol: str) -> None:
    """What refuses on a WebSocket refuses an offer, with the fitting status and the same hook."""
    session = Session(make(name))
    assert session.now(protocol=protocol).status == status
    assert (session.noted, session.reached) == (["", error], [])


@pytest.mark.parametrize("name", ["name-in-use", "publish-denied"])
def test_what_is_for_publishers(name: str) -> None:
    """A fault of publishing does not touch a subscriber."""
    assert Session(make(name)).now(protocol="whep") == CREATED


def test_silence() -> None:
    """From a stage on nothing is answered; the origin has the requests."""
    session = Session(make("silence", stage="answer"))
    assert [session.now(method) for method in ("POST", "PATCH", "DELETE")] == [Unanswered()] * 3
    assert session.reached == ["POST", "PATCH", "DELETE"]
    later = Session(make("silence", stage="trickle"))
    assert [later.now(method) for method in ("POST", "PATCH", "DELETE")] == [CREATED, Unanswered(), Unanswered()]


def test_close() -> None:
    """At a stage the connection is cut, before or after the origin has the request; live, the session is lost."""
    early = Session(make("close", stage="offer"))
    assert (early.now(), early.reached) == (Cut(), [])
    late = Session(make("close", stage="publish"))
    assert (late.now(), late.reached) == (Cut(), ["POST"])
    trickle = Session(make("close", stage="trickle"))
    assert (trickle.now("POST"), trickle.now("PATCH")) == (CREATED, Cut())
    live = Session(make("close", stage="live", after=2))
    assert live.now() == CREATED
    live.due[0][1]()
    assert live.noted == ["at live", "end"]


def test_unpublish_unanswered() -> None:
    """The session ends, and the client does not hear of it."""
    session = Session(make("unpublish-unanswered"))
    assert (session.now("POST"), session.now("DELETE")) == (CREATED, Unanswered())
    assert session.reached == ["POST", "DELETE"]


def test_candidates_reordered() -> None:
    """The candidates of an answer come in another order, and nothing else changes."""
    answer = Session(make("candidates-reordered")).now()
    assert answer.body != ANSWER
    assert sorted(answer.body.split(b"\r\n")) == sorted(ANSWER.split(b"\r\n"))
    assert answer.body.endswith(b"a=end-of-candidates\r\n")


class Broken(ExchangeFault):
    """Fails at everything."""

    name = "broken"

    def on_request(self, exchange: HttpExchange) -> HttpOutcome | None:
        raise RuntimeError("request")

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpOutcome:
        raise RuntimeError("response")

    def hold(self, exchange: HttpExchange, sender: Any) -> float:
        raise RuntimeError("hold")


def test_a_fault_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A fault that raises is logged, and the request goes on as if there were none."""
    session = Session(Broken({}, random.Random(1)), make("http-location"))
    assert header(session.now(), "Location") is None
    assert caplog.text.count("a fault failed") == 4


def test_what_acts_is_noted_once_for_each_request() -> None:
    """Each request on which a fault acts counts."""
    session = Session(make("http-error", on="patch", status=405))
    session.now("PATCH")
    session.now("POST")
    session.now("PATCH")
    assert session.noted == ["PATCH 405", "PATCH 405"]


def test_preflights_are_drawn_by_themselves() -> None:
    """A use of a fault begins with an OPTIONS only if that is what it is for."""
    registry = FaultRegistry()
    for on, method in (("options", "OPTIONS"), ("post", "POST"), ("patch", "POST"), ("delete", "POST")):
        fault = registry.add("http-error", on=on)
        assert issubclass(fault.kind, ExchangeFault)
        assert fault.kind.first_request(fault.parameters) == method
