"""What real clients write in offers and answers beside what the examples of the RFCs show."""

from __future__ import annotations

import pathlib
import random

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.answer import plan_answer, write_answer
from smproxy.origin.candidates import HostCandidate
from smproxy.origin.offer import InvalidOffer, read_offer
from smproxy.origin.payload_format import PayloadFormat
from smproxy.origin.play.answer import CodecRefused, read_answer
from smproxy.origin.play.offer import OfferPlan, plan_offer, write_offer
from smproxy.signaling.payloads import Kind

from tests.unit.sdp_shuffle import shuffled

OFFERS = pathlib.Path(__file__).parents[2] / "fixtures" / "offers"
NAMES = sorted(each.name for each in OFFERS.glob("*.sdp"))
CHROMIUM = (OFFERS / "chromium-sdk11-datachannel.sdp").read_bytes().decode()
FIREFOX = (OFFERS / "firefox-153-sdk11-datachannel.sdp").read_bytes().decode()
HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
TRANSPORT = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:" + "p" * 24 + "\r\na=setup:actpass\r\n"
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\n"
)
CANDIDATES = [HostCandidate("192.0.2.7", 5000, 0)]


def answer(offer: str, **wishes: str) -> str:
    return write_answer(
        plan_answer(read_offer(offer), **wishes),
        ufrag="abcdefgh",
        password="p" * 24,
        fingerprint=":".join(["AB"] * 32),
        candidates=CANDIDATES,
        session_id=1,
    )


def sections(sdp: str) -> list[str]:
    return sdp.split("m=")[1:]


def offer(*media: str, head: str = HEAD) -> str:
    """Write an offer of sections that are given without mid and transport; the mids are 0, 1, 2."""
    text = head + "a=group:BUNDLE " + " ".join(str(index) for index in range(len(media))) + "\r\n"
    for index, each in enumerate(media):
        text += f"{each}a=mid:{index}\r\n{TRANSPORT}"
    return text


def section(kind: str, formats: str, *attributes: str) -> str:
    lines = [f"m={kind} 9 UDP/TLS/RTP/SAVPF {formats}", "c=IN IP4 0.0.0.0", "a=rtcp-mux"]
    return "\r\n".join([*lines, *(f"a={each}" for each in attributes)]) + "\r\n"


VP8 = section("video", "96", "sendonly", "rtpmap:96 VP8/90000")
OPUS = section("audio", "111", "sendonly", "rtpmap:111 opus/48000/2")


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32))
def test_permuting_attributes_never_changes_the_answer(name: str, seed: int) -> None:
    """M1: attributes of a section, and of the session, have no order."""
    text = (OFFERS / name).read_bytes().decode()
    assert answer(shuffled(text, seed)) == answer(text)


def test_firefox_is_answered_like_chrome() -> None:
    """M1: Firefox's sorted offer gets its fmtp and all three kinds of feedback."""
    audio, video, data = sections(answer(FIREFOX))
    assert "a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\r\n" in audio
    assert "a=fmtp:120 max-fs=12288;max-fr=60\r\n" in video
    for feedback in ("goog-remb", "nack", "nack pli"):
        assert f"a=rtcp-fb:120 {feedback}\r\n" in video
    assert not any(" 0 " in each.split("\r\n")[0] for each in (audio, video, data))


def test_sorted_h264_publishes() -> None:
    """M1: H264 whose fmtp and rtcp-fb stand before its rtpmap is taken with both."""
    fmtp = "fmtp:126 packetization-mode=1;profile-level-id=42e01f"
    video = section("video", "126", "sendonly", fmtp, "rtcp-fb:126 nack", "rtpmap:126 H264/90000")
    (answered,) = sections(answer(offer(video)))
    assert f"a={fmtp}\r\n" in answered
    assert "a=rtcp-fb:126 nack\r\n" in answered


def test_fmtp_lines_are_merged_in_any_order() -> None:
    """M2: two lines of one payload type are one, whichever comes first."""
    lines = ["fmtp:126 profile-level-id=42e01f", "rtpmap:126 H264/90000", "fmtp:126 packetization-mode=1; x=y"]
    answers = {answer(offer(section("video", "126", "sendonly", *order))) for order in (lines, list(reversed(lines)))}
    assert len(answers) == 1
    assert "a=fmtp:126 packetization-mode=1; x=y;profile-level-id=42e01f\r\n" in answers.pop()


@pytest.mark.parametrize("place", ["before", "after"])
def test_wildcard_feedback_holds_for_all_formats(place: str) -> None:
    """M2: ``a=rtcp-fb:*`` holds for formats named before and after it, beside their own feedback."""
    rtpmaps = ["rtpmap:96 VP8/90000", "rtcp-fb:96 nack pli"]
    lines = ["rtcp-fb:* nack", *rtpmaps] if place == "before" else [*rtpmaps, "rtcp-fb:* nack"]
    (answered,) = sections(answer(offer(section("video", "96", "sendonly", *lines))))
    assert "a=rtcp-fb:96 nack\r\n" in answered
    assert "a=rtcp-fb:96 nack pli\r\n" in answered


@pytest.mark.parametrize("direction", ["inactive", "recvonly"])
@pytest.mark.parametrize("rtpmap", ["96 VP8/90000", "45 AV1/90000"])
def test_the_first_section_that_sends_is_taken(direction: str, rtpmap: str) -> None:
    """M3: an unused section of any codec before the live one is answered inactive, and the live one is the track."""
    unused = section("video", rtpmap.split()[0], direction, f"rtpmap:{rtpmap}", "fmtp:45 profile=0")
    text = offer(unused, OPUS, VP8)
    plan = plan_answer(read_offer(text))
    assert [(each.name, each.format.codec) for each in plan.tracks] == [("audio_main", "OPUS"), ("video_main", "VP8")]
    first, audio, video = sections(answer(text))
    assert first.startswith(f"video 5000 UDP/TLS/RTP/SAVPF {rtpmap.split()[0]}\r\n")
    assert "a=inactive\r\n" in first
    assert f"a=rtpmap:{rtpmap}\r\n" in first
    assert "a=recvonly" in audio
    assert "a=recvonly" in video
    assert SessionDescription.parse(answer(text)).group[0].items == ["0", "1", "2"]


def test_a_section_that_sends_what_nobody_takes_gives_way_to_one_that_can_be_taken() -> None:
    """M3: of two video sections that send, the one with a common codec is the track; without any the offer is refused."""
    unknown = section("video", "45", "sendonly", "rtpmap:45 AV1/90000")
    first, second = sections(answer(offer(unknown, VP8)))
    assert first.startswith("video 0 ")
    assert "a=recvonly" in second
    with pytest.raises(InvalidOffer, match="No common video codec"):
        answer(offer(unknown, OPUS))


def test_a_direction_of_the_session_holds_for_its_sections() -> None:
    """A section without a direction has that of the session; its own counts more."""
    text = offer(OPUS.replace("a=sendonly\r\n", ""), VP8, head=HEAD + "a=inactive\r\n")
    assert [each.name for each in plan_answer(read_offer(text)).tracks] == ["video_main"]


def test_the_transport_may_be_described_once() -> None:
    """Credentials, fingerprint and role may stand before the sections."""
    text = offer(OPUS, VP8).replace(TRANSPORT, "").replace("t=0 0\r\n", "t=0 0\r\n" + TRANSPORT)
    assert answer(text) == answer(offer(OPUS, VP8))


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_lines_may_end_in_one_character(end: str) -> None:
    """LF alone, as scripts write it, is a line's end; a next-line character in a name is not."""
    assert answer(CHROMIUM.replace("\r\n", end)) == answer(CHROMIUM)
    assert answer(CHROMIUM.replace("s=-", "s=a\x85a=ice-lite")) == answer(CHROMIUM)


def test_mids_may_be_any_token() -> None:
    """Mids that are no numbers come back as they were, in the group as well."""
    text = offer(OPUS, VP8).replace("a=mid:0", "a=mid:audio-{1}").replace("a=mid:1", "a=mid:video0")
    text = text.replace("BUNDLE 0 1", "BUNDLE audio-{1} video0")
    answered = answer(text)
    assert "a=group:BUNDLE audio-{1} video0\r\n" in answered
    assert [each.rtp.muxId for each in SessionDescription.parse(answered).media] == ["audio-{1}", "video0"]


def test_bundle_only_sections_have_port_0_and_are_taken() -> None:
    """GStreamer's and Firefox's ``m=video 0`` with ``a=bundle-only`` is offered; without it the section is not."""
    only = VP8.replace("m=video 9", "m=video 0")
    assert "m=video 5000 " in answer(offer(OPUS, only.replace("a=rtcp-mux", "a=rtcp-mux\r\na=bundle-only")))
    assert "m=video 0 " in answer(offer(OPUS, only))


def test_a_passive_client_is_answered_actively() -> None:
    """FFmpeg's ``setup:passive`` makes us the DTLS client."""
    assert "a=setup:active\r\n" in answer(offer(OPUS).replace("actpass", "passive"))


@pytest.mark.parametrize("media", ["text 9 UDP/TLS/RTP/SAVPF 98", "image 9 udptl t38", "message 9 TCP/MSRP *"])
def test_unknown_sections_are_rejected_alone(media: str) -> None:
    """A section of a kind that nobody here knows has port 0 in the answer, and the others are taken."""
    text = offer(f"m={media}\r\nc=IN IP4 0.0.0.0\r\n", OPUS)
    unknown, audio = sections(answer(text))
    assert unknown.startswith(f"{media.split()[0]} 0 ")
    assert audio.startswith("audio 5000 ")


def test_one_live_section_needs_no_bundle() -> None:
    """Without BUNDLE one section that is offered is enough; two would need two transports."""
    text = offer(VP8.replace("m=video 9", "m=video 0"), OPUS).replace("a=group:BUNDLE 0 1\r\n", "")
    assert "a=recvonly" in answer(text)
    with pytest.raises(InvalidOffer, match="bundle"):
        answer(offer(VP8, OPUS).replace("a=group:BUNDLE 0 1\r\n", ""))


def test_static_payload_types_need_no_rtpmap() -> None:
    """PCMU without an rtpmap is known by its number, with the feedback and parameters it has."""
    (audio,) = sections(answer(offer(section("audio", "0", "sendonly", "fmtp:0 vad=no", "rtcp-fb:* nack"))))
    for line in ("a=rtpmap:0 PCMU/8000", "a=fmtp:0 vad=no", "a=rtcp-fb:0 nack"):
        assert f"{line}\r\n" in audio


def test_the_source_of_media_is_not_that_of_its_repair() -> None:
    """Of a FID group the first source is the track's, whatever comes first in the section."""
    video = section(
        "video", "96", "sendonly", "ssrc:7 cname:x", "ssrc:5 cname:x", "ssrc-group:FID 5 7", "rtpmap:96 VP8/90000"
    )
    assert plan_answer(read_offer(offer(video))).tracks[0].ssrcs == (5,)


def test_candidates_of_any_kind_are_passed_over() -> None:
    """W8: TCP, mDNS, malformed and endless candidates in an offer make no difference."""
    strange = "".join(
        f"a=candidate:{each}\r\n"
        for each in (
            "1 1 TCP 2105458943 192.0.2.1 9 typ host tcptype active",
            "1 1 UDP 2122187007 812bc5b9-e108-4fe1-a59d-335b2740978a.local 57274 typ host",
            "x",
            "1 1 sctp 1 ::1 99999 typ new",
        )
    )
    assert answer(CHROMIUM.replace("a=mid:0\r\n", "a=mid:0\r\n" + strange)) == answer(CHROMIUM)


# H264 ------------------------------------------------------------------------------------------------------------------


def h264(number: int, *parameters: str) -> list[str]:
    return [f"rtpmap:{number} H264/90000", f"fmtp:{number} {';'.join(parameters)}"]


@pytest.mark.parametrize("mode", ["packetization-mode=1", " Packetization-Mode = 1 ", "x=1; packetization-mode=1"])
def test_fragmenting_h264_is_preferred(mode: str) -> None:
    """Of several H264 formats the first of mode 1 is taken, however its parameters are written; 10 is not 1."""
    lines = [*h264(97, "profile-level-id=42e01f"), *h264(98, "packetization-mode=10"), *h264(99, mode)]
    text = offer(section("video", "97 98 99 100", "sendonly", *lines, *h264(100, "packetization-mode=1")))
    assert plan_answer(read_offer(text)).tracks[0].format.payload_type == 99


def play(stream: PayloadFormat) -> OfferPlan:
    return plan_offer({Kind.VIDEO: stream}, data=False, rng=random.Random(1))


def stream(*parameters: str) -> PayloadFormat:
    return PayloadFormat(102, "H264", "H264/90000", 90000, ";".join(parameters))


@pytest.mark.parametrize(
    ("published", "taken", "works"),
    [
        ("packetization-mode=1", "packetization-mode=1;profile-level-id=640c1f", True),
        ("packetization-mode=1", "profile-level-id=42e01f", False),
        ("packetization-mode=0", "packetization-mode=1", True),
        ("profile-level-id=42e01f", "packetization-mode=0", True),
    ],
)
def test_a_subscriber_must_take_the_packets_of_the_stream(published: str, taken: str, works: bool) -> None:
    """A client that gives H264 another number must take its packetization; profile and level may differ."""
    text = offer(section("video", "125", "recvonly", *h264(125, taken)))
    if works:
        assert read_answer(text, play(stream(published))).slots[0].payload_type == 125
    else:
        with pytest.raises(CodecRefused, match="H264"):
            read_answer(text, play(stream(published)))


def test_the_same_number_for_another_codec_is_a_refusal() -> None:
    """An answer that uses our number for a codec of its own does not take the stream."""
    with pytest.raises(CodecRefused):
        read_answer(offer(section("video", "102", "recvonly", "rtpmap:102 VP9/90000")), play(stream()))


@given(seed=st.integers(0, 2**32))
def test_permuting_attributes_never_changes_what_an_answer_says(seed: int) -> None:
    """A subscriber's answer may be sorted, too."""
    planned = plan_offer(
        {Kind.AUDIO: PayloadFormat(111, "OPUS", "opus/48000/2", 48000), Kind.VIDEO: stream("packetization-mode=1")},
        data=False,
        rng=random.Random(1),
    )
    video = section("video", "102", "recvonly", *h264(102, "packetization-mode=1"))
    text = offer(OPUS.replace("sendonly", "recvonly"), video)
    assert read_answer(shuffled(text, seed), planned) == read_answer(text, planned)


def test_a_section_that_is_not_wanted_needs_no_codec() -> None:
    """M3: what a subscriber answers inactive is left out, whatever formats stand there."""
    planned = plan_offer(
        {Kind.AUDIO: PayloadFormat(111, "OPUS", "opus/48000/2", 48000), Kind.VIDEO: stream()},
        data=False,
        rng=random.Random(1),
    )
    unused = section("video", "45", "inactive", "rtpmap:45 AV1/90000")
    answered = read_answer(offer(OPUS.replace("sendonly", "recvonly"), unused), planned)
    assert [each.slot.kind for each in answered.slots] == [Kind.AUDIO]


def test_the_offer_to_a_subscriber_keeps_the_merged_parameters() -> None:
    """M2: what a publisher wrote in two lines is offered in one, the profile last."""
    text = offer(
        section("video", "126", "sendonly", *h264(126, "profile-level-id=42e01f"), "fmtp:126 packetization-mode=1")
    )
    picked = plan_answer(read_offer(text)).tracks[0].format
    written = write_offer(
        play(picked),
        ufrag="abcdefgh",
        password="p" * 24,
        fingerprint=":".join(["AB"] * 32),
        candidates=CANDIDATES,
        session_id=1,
    )
    assert "a=fmtp:126 packetization-mode=1;profile-level-id=42e01f\r\n" in written


def test_a_simulcast_group_is_known_with_its_order() -> None:
    """The sources of ``a=ssrc-group:SIM`` are one track, the smallest picture first; a group of repair is none (M4)."""
    groups = ["ssrc-group:FID 5 9", "ssrc-group:SIM 5 6 7", "ssrc:5 cname:x", "ssrc:6 cname:x", "ssrc:7 cname:x"]
    video = section("video", "96", "rtpmap:96 VP8/90000", "sendonly", *groups)
    assert plan_answer(read_offer(offer(video))).tracks[0].simulcast == (5, 6, 7)
    assert plan_answer(read_offer(CHROMIUM)).tracks[1].simulcast == ()
