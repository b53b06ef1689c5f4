"""Answers to the offers of clients that want to watch."""

from __future__ import annotations

import random

import pytest
from smproxy.origin.candidates import HostCandidate
from smproxy.origin.offer import UnsupportedOffer, read_offer
from smproxy.origin.payload_format import PayloadFormat
from smproxy.origin.play.answer import CodecRefused
from smproxy.origin.play.viewer import ViewerPlan, plan_viewer_answer, write_viewer_answer
from smproxy.origin.sdp import read_description
from smproxy.signaling.payloads import Kind

TRANSPORT = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n"
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\na=setup:actpass\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
)
OPUS = PayloadFormat(111, "OPUS", "opus/48000/2", 48000, "minptime=10")
VP8 = PayloadFormat(96, "VP8", "VP8/90000", 90000)
H264 = PayloadFormat(102, "H264", "H264/90000", 90000, "packetization-mode=1;profile-level-id=42e01f")

AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 109 9\r\na=mid:0\r\na=recvonly\r\na=rtpmap:109 opus/48000/2\r\n" + TRANSPORT
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 120 126 97 121\r\na=mid:1\r\na=recvonly\r\na=rtpmap:120 VP8/90000\r\n"
    "a=rtpmap:126 H264/90000\r\na=fmtp:126 profile-level-id=640c1f;packetization-mode=1\r\n"
    "a=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n"
    "a=rtpmap:121 rtx/90000\r\na=rtcp-fb:120 nack\r\na=rtcp-fb:120 nack pli\r\na=rtcp-fb:120 transport-cc\r\n"
    + TRANSPORT
)
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n" + TRANSPORT


def offer(*sections: str) -> str:
    """Write an offer."""
    mids = " ".join(each.partition("a=mid:")[2].partition("\r\n")[0] for each in sections)
    return "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE " + mids + "\r\n" + "".join(sections)


def plan(sdp: str, formats: dict[Kind, PayloadFormat] | None) -> ViewerPlan:
    """Plan an answer."""
    return plan_viewer_answer(read_offer(sdp), formats, rng=random.Random(1))


def written(planned: ViewerPlan) -> str:
    """Write an answer."""
    candidates = [HostCandidate("192.0.2.1", 5000, 0)]
    return write_viewer_answer(
        planned, ufrag="wxyz", password="w" * 22, fingerprint="AB", candidates=candidates, session_id=1
    )


def test_payload_types_are_the_clients() -> None:
    """A track is sent with the payload type of the client's offer, in the stream's codec and best in its H264 profile."""
    planned = plan(offer(AUDIO, VIDEO), {Kind.AUDIO: OPUS, Kind.VIDEO: H264})
    assert [each.payload_type for each in planned.accepted.slots] == [109, 97]
    assert [each.slot.number for each in planned.accepted.slots] == [0, 1]
    answer = written(planned)
    assert "m=audio 5000 UDP/TLS/RTP/SAVPF 109\r\n" in answer
    assert "m=video 5000 UDP/TLS/RTP/SAVPF 97\r\n" in answer
    assert answer.count("a=sendonly") == answer.count("a=rtcp-mux-only") == 2
    stream = planned.slots.stream_id
    assert answer.count(f"a=msid:{stream} ") == 2
    assert read_description(answer).bundle == ("0", "1")


def test_feedback_is_what_both_know() -> None:
    """Of the client's feedback only what is followed is accepted."""
    answer = written(plan(offer(VIDEO), {Kind.AUDIO: OPUS, Kind.VIDEO: VP8}))
    assert "a=rtcp-fb:120 nack\r\n" in answer
    assert "a=rtcp-fb:120 nack pli\r\n" in answer
    assert "transport-cc" not in answer


def test_only_what_was_offered_is_answered() -> None:
    """RFC 3264: sections in the offer's order, a data channel only when one was offered, inactive what the stream has not."""
    answer = written(plan(offer(VIDEO, AUDIO, DATA), {Kind.AUDIO: OPUS}))
    kinds = [each.kind for each in read_description(answer).sections]
    assert kinds == ["video", "audio", "application"]
    assert answer.count("a=inactive") == answer.count("a=sendonly") == 1
    assert "m=application" not in written(plan(offer(AUDIO), {Kind.AUDIO: OPUS}))


def test_a_stream_to_come() -> None:
    """Before anybody publishes the client's first known codec of each kind is taken."""
    planned = plan(offer(AUDIO, VIDEO), None)
    assert [each.payload_type for each in planned.accepted.slots] == [109, 120]


def test_what_cannot_be_served() -> None:
    """A codec that the client lacks is told by name; so are two sections of a kind, and an offer of nothing fitting."""
    with pytest.raises(CodecRefused, match="VP8 video"):
        plan(offer(VIDEO.replace("VP8/90000", "AV1/90000")), {Kind.VIDEO: VP8})
    with pytest.raises(UnsupportedOffer, match="2 video"):
        plan(offer(VIDEO, VIDEO.replace("a=mid:1", "a=mid:3")), {Kind.VIDEO: VP8})
    with pytest.raises(UnsupportedOffer, match="nothing"):
        plan(offer(AUDIO), {Kind.VIDEO: VP8})
