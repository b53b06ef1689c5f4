"""Offers and answers without a network."""

from __future__ import annotations

import contextlib
import pathlib
import random
import re

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st
from smproxy.origin.answer import Plan, plan_answer, write_answer
from smproxy.origin.candidates import HostCandidate, choose_addresses
from smproxy.origin.offer import InvalidOffer, read_offer
from smproxy.signaling.payloads import Kind

OFFERS = pathlib.Path(__file__).parents[2] / "fixtures" / "offers"
CHROMIUM = (OFFERS / "chromium-sdk11-datachannel.sdp").read_bytes().decode()


def answer(plan: Plan) -> str:
    return write_answer(
        plan,
        ufrag="abcdefgh",
        password="p" * 24,
        fingerprint=":".join(["AB"] * 32),
        candidates=[HostCandidate("192.0.2.7", 5000, 0), HostCandidate("127.0.0.1", 5001, 1)],
        session_id=1,
    )


def test_the_answer_can_be_read_by_a_strict_parser_and_mirrors_the_offer() -> None:
    """aiortc reads the answer: the same m-lines and mids, one codec each, recvonly, all candidates, one bundle."""
    parsed = SessionDescription.parse(answer(plan_answer(read_offer(CHROMIUM))))
    assert [(each.kind, each.rtp.muxId) for each in parsed.media] == [
        ("audio", "0"),
        ("video", "1"),
        ("application", "2"),
    ]
    assert parsed.group[0].items == ["0", "1", "2"]
    audio, video, data = parsed.media
    assert [each.mimeType for each in audio.rtp.codecs] == ["audio/opus"]
    assert [each.mimeType for each in video.rtp.codecs] == ["video/VP8"]
    assert [(each.type, each.parameter) for each in video.rtp.codecs[0].rtcpFeedback] == [
        ("goog-remb", None),
        ("nack", None),
        ("nack", "pli"),
    ]
    assert video.rtp.headerExtensions == []
    assert audio.direction == video.direction == "recvonly"
    assert data.sctp_port == 5000
    for media in parsed.media:
        assert media.ice.iceLite
        assert media.dtls.role == "client"
        assert [each.ip for each in media.ice_candidates] == ["192.0.2.7", "127.0.0.1"]
        assert media.ice_candidates_complete


def test_the_codec_hints_are_followed_when_they_can_be() -> None:
    """H264 is taken when it is wished for, non-interleaved if offered; a wish that cannot be had changes nothing."""
    offer = read_offer(CHROMIUM)

    def video(wish: str | None) -> tuple[str, str]:
        track = next(each for each in plan_answer(offer, video_encoding=wish).tracks if each.kind is Kind.VIDEO)
        return track.format.codec, track.format.fmtp

    assert video("h264") == ("H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f")
    assert video(None)[0] == video("AV1")[0] == video("VP8")[0] == "VP8"
    wished = plan_answer(offer, audio_encoding="PCMU").tracks[0]
    assert wished.format.codec == "PCMU"


def test_directions_are_mirrored() -> None:
    """What does not send is answered inactive and is no track."""
    plan = plan_answer(read_offer(CHROMIUM.replace("a=sendrecv", "a=recvonly", 1)))
    assert [each.name for each in plan.tracks] == ["video_main"]
    assert answer(plan).count("a=inactive") == 1


def test_a_second_section_of_a_kind_is_refused_with_port_0() -> None:
    """Only the first audio and the first video are taken; the answer still mirrors all m-lines."""
    head, video = CHROMIUM.split("m=video")
    video, application = video.split("m=application")
    extra = video.replace("a=mid:1", "a=mid:9")
    text = head.replace("BUNDLE 0 1 2", "BUNDLE 0 1 2 9") + f"m=video{video}m=application{application}m=video{extra}"
    parsed = SessionDescription.parse(answer(plan_answer(read_offer(text))))
    assert [each.port for each in parsed.media] == [5000, 5000, 5000, 0]
    assert parsed.group[0].items == ["0", "1", "2"]


def test_a_dtls_client_is_answered_as_server() -> None:
    """a=setup:active in the offer makes us passive."""
    assert "a=setup:passive" in answer(plan_answer(read_offer(CHROMIUM.replace("actpass", "active"))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("v=0", "v=1"), "not an SDP"),
        (("a=fingerprint:sha-256", "a=fingerprint:md5"), "fingerprint"),
        (("a=ice-ufrag:0NfO", "a=ice-ufrag:x"), "ICE credentials"),
        (("a=rtcp-mux", "a=none"), "rtcp-mux"),
        (("a=setup:actpass", "a=setup:holdconn"), "DTLS role"),
        (("a=group:BUNDLE 0 1 2", "a=group:BUNDLE 0 1 2 3"), "cut short"),
        (("s=-", "s=-\r\na=ice-lite"), "lite"),
        (("m=audio 9", "m=audio nine"), "malformed"),
        (("UDP/TLS/RTP/SAVPF 111", "UDP/TLS/RTP/SAVPF" + " 1" * 300), "malformed"),
        (("opus", "speex"), None),
    ],
)
def test_refusals_say_why(change: tuple[str, str], words: str | None) -> None:
    """Each thing that is missing is named; an unknown codec beside a known one is no reason."""
    text = CHROMIUM.replace(*change)
    if words is None:
        assert plan_answer(read_offer(text)).tracks[0].format.codec == "G722"
        return
    with pytest.raises(InvalidOffer, match=words):
        plan_answer(read_offer(text))


LONG = "9" * 5000


@pytest.mark.parametrize(
    "change",
    [
        ("a=mid:1", f"a=mid:1\r\na=ssrc:{LONG} cname:x"),
        ("a=sctp-port:5000", f"a=sctp-port:{LONG}"),
        ("a=sctp-port:5000", f"a=sctpmap:{LONG} webrtc-datachannel 1024"),
        ("a=max-message-size:262144", f"a=max-message-size:{LONG}"),
        ("a=rtpmap:96 VP8/90000", f"a=rtpmap:{LONG} VP8/90000"),
        ("a=rtpmap:96 VP8/90000", f"a=rtpmap:96 VP8/{LONG}"),
        ("a=rtcp-fb:96 goog-remb", f"a=rtcp-fb:{LONG} goog-remb"),
        ("a=rtpmap:96 VP8/90000", f"a=rtpmap:96 VP8/90000\r\na=fmtp:{LONG} x=1"),
        ("m=video 9 UDP/TLS/RTP/SAVPF", f"m=video 9 UDP/TLS/RTP/SAVPF {LONG}"),
        ("m=video 9 ", f"m=video {LONG} "),
        ("a=group:BUNDLE 0 1 2", f"a=group:BUNDLE 0 1 2\r\nm=text 9 UDP/TLS/RTP/SAVPF {LONG}"),
    ],
)
def test_a_number_too_long_for_an_integer_is_refused(change: tuple[str, str]) -> None:
    """Thousands of digits, which int() would refuse with an error of its own, make the offer invalid wherever they stand."""
    assert CHROMIUM.count(change[0]) >= 1
    with pytest.raises(InvalidOffer, match=r"5000 digits"):
        answer(plan_answer(read_offer(CHROMIUM.replace(*change, 1))))


@pytest.mark.parametrize(
    "line", ["a=ssrc:4294967296 cname:x", "a=ssrc:٣ cname:x", "a=ssrc:-1", "a=rtpmap:300 x/1", "a=rtpmap:² VP8/90000"]
)
def test_a_number_that_is_none_or_out_of_range_is_passed_over(line: str) -> None:
    """What is merely strange does not make an offer invalid and is not believed."""
    strange = plan_answer(read_offer(CHROMIUM.replace("a=mid:1", f"a=mid:1\r\n{line}")))
    assert answer(strange) == answer(plan_answer(read_offer(CHROMIUM)))
    assert [each.ssrcs for each in strange.tracks] == [each.ssrcs for each in plan_answer(read_offer(CHROMIUM)).tracks]


@given(st.text(max_size=400))
def test_text_is_an_offer_or_invalid(text: str) -> None:
    """Any text, alone or behind a real beginning, raises nothing but InvalidOffer."""
    for sdp in (text, "v=0\r\n" + text, CHROMIUM[:900] + text):
        with contextlib.suppress(InvalidOffer):
            answer(plan_answer(read_offer(sdp)))


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_a_damaged_offer_is_an_offer_or_invalid(seed: int) -> None:
    """Real offers with lines lost, doubled, swapped, cut or with huge numbers raise nothing but InvalidOffer."""
    rng = random.Random(seed)
    lines = CHROMIUM.split("\r\n")
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, rng.choice(lines))
            case 2:
                lines[at] = lines[at][: rng.randint(0, len(lines[at]))]
            case 3:
                lines[at] = re.sub(r"\d+", LONG, lines[at], count=rng.randint(1, 3))
            case _:
                lines[at] = "".join(rng.sample(lines[at], len(lines[at])))
    with contextlib.suppress(InvalidOffer):
        answer(plan_answer(read_offer("\r\n".join(lines))))


def test_the_loopback_is_always_there() -> None:
    """A machine with only lo gets the loopback; others get their addresses first; link-local ones are left out."""
    assert choose_addresses(["127.0.0.1", "::1"]) == ("127.0.0.1",)
    assert choose_addresses(["127.0.0.1", "::1"], ipv6_loopback=True) == ("127.0.0.1", "::1")
    assert choose_addresses(["127.0.0.1"], ipv6_loopback=True) == ("127.0.0.1",)
    found = ["fe80::1", "2001:db8::5", "192.0.2.2", "127.0.0.1", "169.254.3.4", "192.0.2.2", "rubbish"]
    assert choose_addresses(found) == ("192.0.2.2", "2001:db8::5", "127.0.0.1")
    assert len(choose_addresses(f"192.0.2.{n}" for n in range(100))) == 6
