"""Offers to subscribers and their answers, without a network."""

from __future__ import annotations

import contextlib
import random
import re

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st
from smproxy.origin.candidates import HostCandidate
from smproxy.origin.payload_format import PayloadFormat
from smproxy.origin.play.answer import CodecRefused, InvalidAnswer, read_answer
from smproxy.origin.play.offer import OfferPlan, plan_offer, write_offer
from smproxy.signaling.payloads import Kind

OPUS = PayloadFormat(111, "OPUS", "opus/48000/2", 48000, "minptime=10;useinbandfec=1")
VP8 = PayloadFormat(96, "VP8", "VP8/90000", 90000)
H264 = PayloadFormat(
    102, "H264", "H264/90000", 90000, "profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1"
)
BOTH = {Kind.AUDIO: OPUS, Kind.VIDEO: VP8}


def plan(formats: dict[Kind, PayloadFormat] | None = None, *, data: bool = True) -> OfferPlan:
    return plan_offer(BOTH if formats is None else formats, data=data, rng=random.Random(1))


def offer(planned: OfferPlan) -> str:
    return write_offer(
        planned,
        ufrag="abcdefgh",
        password="p" * 24,
        fingerprint=":".join(["AB"] * 32),
        candidates=[HostCandidate("192.0.2.7", 5000, 0), HostCandidate("127.0.0.1", 5001, 1)],
        session_id=1,
    )


def answered(planned: OfferPlan) -> str:
    """Answer as a browser does: the same sections, receiving, with credentials of its own."""
    lines = []
    for line in offer(planned).split("\r\n"):
        if line.startswith(("a=candidate", "a=ssrc", "a=msid", "a=ice-lite", "a=end-of")):
            continue
        line = line.replace("sendonly", "recvonly").replace("setup:actpass", "setup:active")
        line = line.replace("abcdefgh", "client01").replace("p" * 24, "q" * 24)
        lines.append(line)
    return "\r\n".join(lines)


def test_the_offer_can_be_read_by_a_strict_parser() -> None:
    """aiortc reads it: audio, video, data with mids 0, 1, 2, one codec each, sendonly, bundled, ice-lite and actpass."""
    text = offer(plan())
    parsed = SessionDescription.parse(text)
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
        ("nack", None),
        ("nack", "pli"),
        ("ccm", "fir"),
        ("goog-remb", None),
    ]
    assert audio.direction == video.direction == "sendonly"
    assert data.sctp_port == 5000
    for media in parsed.media:
        assert media.ice.iceLite
        assert media.dtls.role == "auto"
        assert [each.ip for each in media.ice_candidates] == ["192.0.2.7", "127.0.0.1"]
        assert media.ice_candidates_complete
    assert text.count("a=rtcp-mux\r\n") == 2


def test_both_tracks_have_one_stream_id() -> None:
    """T-18: an SDK attaches the first stream only, so a second one would never be seen."""
    text = offer(plan())
    found = re.findall(r"a=msid:(\S+) (\S+)", text)
    assert len(found) == 2
    assert len({stream for stream, _ in found}) == 1
    assert len({track for _, track in found}) == 2
    assert "-" not in {stream for stream, _ in found}


def test_the_profile_is_the_last_parameter() -> None:
    """T-43: an SDK rewrites everything from profile-level-id to the end of the line."""
    line = next(each for each in offer(plan({Kind.VIDEO: H264})).splitlines() if each.startswith("a=fmtp"))
    assert line == "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"


@pytest.mark.parametrize(
    ("formats", "data", "kinds"),
    [
        (BOTH, False, ["audio", "video"]),
        ({Kind.VIDEO: VP8}, True, ["video", "application"]),
        ({Kind.AUDIO: OPUS}, False, ["audio"]),
        ({}, True, ["application"]),
    ],
)
def test_only_what_there_is_is_offered(formats: dict[Kind, PayloadFormat], data: bool, kinds: list[str]) -> None:
    """Sections for the tracks of the stream and for the data channel that was asked for, mids from 0 on."""
    planned = plan(formats, data=data)
    parsed = SessionDescription.parse(offer(planned))
    assert [each.kind for each in parsed.media] == kinds
    assert [each.rtp.muxId for each in parsed.media] == [str(mid) for mid in range(len(kinds))]
    assert [slot.number for slot in planned.slots] == [int(kind) for kind in sorted(formats)]
    taken = read_answer(answered(planned), planned)
    assert len(taken.slots) == len(formats)
    assert (taken.data is not None) == data


def test_nothing_cannot_be_offered() -> None:
    """A stream without media, to a client without a data channel, is refused in words."""
    with pytest.raises(ValueError, match="neither audio nor video"):
        plan({}, data=False)


def test_a_browser_s_answer_is_taken() -> None:
    """All slots with their payload types, the data channel, the client's credentials, and we are the DTLS server."""
    planned = plan()
    taken = read_answer(answered(planned), planned)
    assert [(each.slot.name, each.payload_type) for each in taken.slots] == [("audio_main", 111), ("video_main", 96)]
    assert (taken.remote.ufrag, taken.remote.password) == ("client01", "q" * 24)
    assert taken.dtls_role == "server"
    assert taken.data is not None
    assert "q" * 24 not in repr(taken)


def test_a_passive_client_makes_us_the_dtls_client() -> None:
    """a=setup:passive in the answer."""
    planned = plan()
    assert read_answer(answered(planned).replace("active", "passive"), planned).dtls_role == "client"


def test_a_payload_type_of_the_client_s_own_is_used() -> None:
    """An answer may give the codec another number (RFC 3264, 6.1)."""
    planned = plan({Kind.VIDEO: VP8}, data=False)
    text = answered(planned).replace("SAVPF 96", "SAVPF 120").replace(":96 ", ":120 ")
    assert [each.payload_type for each in read_answer(text, planned).slots] == [120]


def test_what_the_client_does_not_want_is_left_out() -> None:
    """An inactive section is a wish; a data channel may be rejected; the rest is taken."""
    planned = plan()
    text = answered(planned).replace("a=recvonly", "a=inactive", 1).replace("m=application 5000", "m=application 0")
    taken = read_answer(text, planned)
    assert [each.slot.name for each in taken.slots] == ["video_main"]
    assert taken.data is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("m=video 5000", "m=video 0"), "does not take VP8 video"),
        (("m=audio 5000", "m=audio 0"), "does not take opus audio"),
        (("SAVPF 96", "SAVPF 97"), "does not take VP8 video"),
    ],
)
def test_a_codec_that_cannot_be_taken_is_refused(change: tuple[str, str], words: str) -> None:
    """The refusal names the codec."""
    planned = plan()
    with pytest.raises(CodecRefused, match=words):
        read_answer(answered(planned).replace(*change), planned)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("v=0", "v=1"), "not an SDP"),
        (("m=audio", "m=video"), "other media sections"),
        (("fingerprint:sha-256", "fingerprint:md5"), "DTLS fingerprint"),
        (("client01", "x"), "ICE credentials"),
        (("a=rtcp-mux", "a=none"), "rtcp-mux"),
        (("BUNDLE 0 1 2", "BUNDLE 0 1"), "must bundle"),
        (("BUNDLE 0 1 2", "BUNDLE 0 1 2 7"), "cut short"),
        (("setup:active", "setup:holdconn"), "DTLS role"),
        (("SAVPF 96", "SAVPF " + "9" * 5000), "5000 digits"),
    ],
)
def test_refusals_say_why(change: tuple[str, str], words: str) -> None:
    """What is missing is named."""
    planned = plan()
    with pytest.raises(InvalidAnswer, match=words) as refusal:
        read_answer(answered(planned).replace(*change), planned)
    assert str(refusal.value).startswith("The answer ")
    assert str(refusal.value).endswith(".")


def test_an_answer_that_takes_nothing_is_refused() -> None:
    """All sections inactive or rejected is no subscription."""
    planned = plan()
    text = answered(planned).replace("a=recvonly", "a=inactive").replace("m=application 5000", "m=application 0")
    with pytest.raises(InvalidAnswer, match="takes nothing"):
        read_answer(text, planned)


@given(st.text(max_size=400))
def test_text_is_an_answer_or_invalid(text: str) -> None:
    """Any text, alone or behind a real beginning, raises nothing but the two refusals."""
    planned = plan()
    for sdp in (text, "v=0\r\n" + text, answered(planned)[:600] + text):
        with contextlib.suppress(InvalidAnswer, CodecRefused):
            read_answer(sdp, planned)


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_a_damaged_answer_is_an_answer_or_refused(seed: int) -> None:
    """Real answers with lines lost, doubled, swapped, cut or with huge numbers raise nothing but the two refusals."""
    rng = random.Random(seed)
    planned = plan()
    lines = answered(planned).split("\r\n")
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
                lines[at] = re.sub(r"\d+", "9" * 5000, lines[at], count=rng.randint(1, 3))
            case _:
                lines[at] = "".join(rng.sample(lines[at], len(lines[at])))
    with contextlib.suppress(InvalidAnswer, CodecRefused):
        taken = read_answer("\r\n".join(lines), planned)
        assert all(0 <= each.payload_type < 128 for each in taken.slots)
