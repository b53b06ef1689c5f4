"""``candidates-reordered``: candidates come one by one, in any order."""

import re
from collections.abc import Sequence
from random import Random

import msgspec
from msgspec import UNSET

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, is_success
from smproxy.faults.parameter import Parameter, Values
from smproxy.faults.signaling_fault import Message, SignalingFault
from smproxy.faults.stage import TRICKLE_CODES
from smproxy.signaling import messages
from smproxy.signaling.http_exchange import HttpResponse

_CANDIDATE = re.compile(r"^a=(candidate:[^\r\n]*)\r?\n", re.MULTILINE)
_END = re.compile(r"^a=end-of-candidates\r?\n", re.MULTILINE)
_MEDIA = re.compile(r"(?=^m=)", re.MULTILINE)

#: Candidates of a client that are kept, and for how many seconds.
MAX_KEPT = 100
PATIENCE = 2.0


class CandidatesReordered(SignalingFault, ExchangeFault):
    """Trickle the candidates of an answer, and mix those of both sides."""

    name = "candidates-reordered"
    effect = "The candidates of the answer are sent one by one after the end of candidates, in any order; so are the client's."
    whip = "the candidates of an answer are in any order"
    publish = "resolves; with `early` no media connection comes about"

    early = Parameter(False, "send those of the answer before it")

    def __init__(self, values: Values, rng: Random) -> None:
        super().__init__(values, rng)
        self._of_client: list[Message] = []
        self._of_origin: list[Message] = []
        self._waiting = False

    def from_client(self, message: Message) -> Sequence[Message]:
        """Keep candidates until the last has come."""
        data = message.client.data
        if message.client.handle_candidate is UNSET or data is UNSET or data.candidate is UNSET:
            return (message,)
        self._of_client.append(message)
        if not data.candidate.candidate or len(self._of_client) >= MAX_KEPT:
            return self._mixed(self._of_client)
        if not self._waiting:
            self._waiting = True
            self.session.later(PATIENCE, lambda: self.session.forward("origin", self._mixed(self._of_client)))
        return ()

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Take the candidates out of the answer; send them before it, or with the end of candidates."""
        data = message.server.data
        if data is UNSET:
            return (message,)
        if data.sdp is not UNSET and data.sdp.type == "answer":
            sdp, self._of_origin = _without_candidates(data.sdp.sdp)
            answer = Message(messages.answer(sdp))
            return (*self._mixed(self._of_origin), answer) if self.early else (answer,)
        if data.candidate is not UNSET and len(self._of_origin) < MAX_KEPT and not self.early:
            self._of_origin.append(message)
            return ()
        if message.code in TRICKLE_CODES:
            return (message, *self._mixed(self._of_origin))
        return (message,)

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpResponse:
        """Mix the candidates of each section of an answer."""
        sections = [self._mixed_section(section) for section in _MEDIA.split(response.body.decode(errors="replace"))]
        body = "".join(sections).encode()
        if not is_success(response) or body == response.body:
            return response
        self.http.acted()
        return HttpResponse(response.status, response.headers, body)

    def _mixed_section(self, section: str) -> str:
        lines = [found[0] for found in _CANDIDATE.finditer(section)]
        self.rng.shuffle(lines)
        return _CANDIDATE.sub(lambda _: lines.pop(), section)

    def _mixed(self, kept: list[Message]) -> list[Message]:
        mixed = kept.copy()
        kept.clear()
        if mixed:
            self.session.acted()
            self.rng.shuffle(mixed)
        return mixed


def _without_candidates(sdp: str) -> tuple[str, list[Message]]:
    """Split an answer from its candidates."""
    sections = _MEDIA.split(sdp)
    taken: list[Message] = []
    for index, section in enumerate(sections[1:]):
        for line in _CANDIDATE.findall(section):
            candidate = {"candidate": line, "sdpMLineIndex": index}
            text = msgspec.json.encode({"data": {"type": "candidate", "candidate": candidate}})
            taken.append(Message(text))
    return _END.sub("", _CANDIDATE.sub("", sdp)), taken
