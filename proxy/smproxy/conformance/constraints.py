"""W17 to W20, W28 and W29: what the descriptions must be like (RFC 9725, 4.4 and 4.8)."""

from __future__ import annotations

from smproxy.conformance.check import Check, RequirementLevel
from smproxy.conformance.exchange import WHIP, NotJudged, Violated
from smproxy.conformance.sdp import H264, OPUS, UNKNOWN, VP8, Media, read
from smproxy.conformance.server import ServerUnderCheck


async def two_tracks_of_a_kind(server: ServerUnderCheck) -> str | None:
    """POST an offer with two video tracks; want both accepted, or 4xx for the whole."""
    video = Media("video", [VP8, H264], server.direction)
    answer = await server.try_offer(server.offer(Media("audio", [OPUS], server.direction), video, video))
    if answer.refused:
        return f"refused with {answer.status}"
    if not answer.successful:
        raise Violated(f"the answer is {answer}")
    accepted = [each for each in read(answer.text).media if each.kind == "video"]
    if len(accepted) < 2:
        raise Violated(f"of two video tracks {len(accepted)} was accepted; the whole offer is to be refused")
    return "the server takes two video tracks"


async def no_partial_answer(server: ServerUnderCheck) -> None:
    """POST audio with a codec that all know and video with one that nobody knows.

    Want 4xx, not half a stream.
    """
    audio, video = Media("audio", [OPUS], server.direction), Media("video", [UNKNOWN], server.direction)
    answer = await server.try_offer(server.offer(audio, video))
    if answer.refused:
        return
    if not answer.successful:
        raise Violated(f"the answer is {answer}")
    sections = read(answer.text)
    if len(sections.media) < 2:
        raise Violated("a video codec that nobody knows: its section was rejected, and the rest accepted")
    raise Violated("a video codec that nobody knows was accepted")


async def bundle(server: ServerUnderCheck) -> None:
    """Want a BUNDLE group with all sections of the offer, and a=rtcp-mux in each."""
    session = await server.sample()
    offered = [each.value("mid") for each in session.offer.sections]
    if session.description.bundle != offered:
        raise Violated(
            f"the BUNDLE group is {' '.join(session.description.bundle) or 'missing'}, not {' '.join(offered)}"
        )
    for section in session.description.media:
        if not section.has("rtcp-mux"):
            raise Violated(f"the {section.kind} section has no a=rtcp-mux")


async def rtcp_mux_only(server: ServerUnderCheck) -> None:
    """Want a=rtcp-mux-only in each section of the answer (RFC 8858)."""
    session = await server.sample()
    for section in session.description.media:
        if not section.has("rtcp-mux-only"):
            raise Violated(f"the {section.kind} section has no a=rtcp-mux-only")


async def setup_of_the_answer(server: ServerUnderCheck) -> None:
    """Want a=setup:active or passive in the answer."""
    setup = (await server.sample()).description.value("setup")
    if setup not in ("active", "passive"):
        raise Violated(f"the answer to a=setup:actpass is a=setup:{setup}" if setup else "the answer has no a=setup")


async def active_clients(server: ServerUnderCheck) -> str | None:
    """POST an offer with a=setup:active; want a=setup:passive, or 400 or 422."""
    answer = await server.try_offer(server.offer(setup="active"))
    if answer.refused:
        if answer.status not in (400, 422):
            raise Violated(f"an offer with a=setup:active got {answer}; 422 says why")
        return f"refused with {answer.status}, as it may be"
    setup = read(answer.text).value("setup")
    if not answer.successful or setup != "passive":
        raise Violated(f"an offer with a=setup:active got {answer} and a=setup:{setup or 'nothing'}")
    return None


async def one_stream(server: ServerUnderCheck) -> None:
    """Want one media stream id in all sections of the answer."""
    streams = {each.value("msid").partition(" ")[0] for each in (await server.sample()).description.media}
    if len(streams) > 1:
        raise Violated(f"the sections belong to {len(streams)} media streams")


async def ice_mode(server: ServerUnderCheck) -> str:
    """Look whether the answer has a=ice-lite; both are allowed."""
    return "ICE lite" if (await server.sample()).description.has("ice-lite") else "full ICE"


async def simulcast(server: ServerUnderCheck) -> str | None:
    """POST an offer with simulcast.

    Want 4xx, an answer without it, or one with a=simulcast:recv and its a=rid lines.
    """
    extra = ("rid:h send", "rid:l send", "simulcast:send h;l")
    video = Media("video", [VP8, H264], server.direction, extra)
    answer = await server.try_offer(server.offer(Media("audio", [OPUS], server.direction), video))
    if answer.refused:
        return f"refused with {answer.status}"
    if not answer.successful:
        raise Violated(f"the answer is {answer}")
    section = next((each for each in read(answer.text).sections if each.kind == "video"), None)
    if section is None or not section.has("simulcast"):
        return "the offer was accepted without simulcast"
    if not section.value("simulcast").startswith("recv "):
        raise Violated(f"a=simulcast:{section.value('simulcast')} does not receive what is sent")
    wanted = {each.lstrip("~") for part in section.value("simulcast")[5:].split(";") for each in part.split(",")}
    described = {line[4:].split()[0] for line in section.lines if line.startswith("rid:") and " recv" in line}
    if not wanted <= described:
        raise Violated(f"the streams {', '.join(sorted(wanted - described))} have no a=rid … recv")
    return "simulcast was accepted"


async def certificate(server: ServerUnderCheck) -> None:
    """Want a fingerprint of a SHA-2 hash in the answer."""
    description = (await server.sample()).description
    if not description.value("fingerprint").lower().startswith("sha-"):
        raise Violated("the answer has no fingerprint of its certificate")
    if not 4 <= len(description.value("ice-ufrag")) <= 256 or not 22 <= len(description.value("ice-pwd")) <= 256:
        raise NotJudged("the answer has no ICE credentials that RFC 8839 allows")


_BUNDLE, _STREAM, _PARTIAL = "4.4.1 SDP Bundle", "4.4.2 Single MediaStream", "4.4.3 No Partially Successful Answers"
_DTLS, _ICE, _SIMULCAST = "4.4.4 DTLS Setup Role", "4.4.5 Trickle ICE and ICE Restarts", "4.8 Simulcast"
CHECKS = (
    Check(
        "W17.1",
        RequirementLevel.MUST,
        "two video tracks are both taken, or the offer refused",
        _STREAM,
        two_tracks_of_a_kind,
    ),
    Check(
        "W17.2",
        RequirementLevel.MUST,
        "what is sent belongs to one media stream",
        _STREAM,
        one_stream,
        frozenset({"whep"}),
    ),
    Check(
        "W18",
        RequirementLevel.SHOULD,
        "an offer that can be served in part only is refused",
        _PARTIAL,
        no_partial_answer,
    ),
    Check("W19.1", RequirementLevel.MUST, "all is bundled, RTCP multiplexed", _BUNDLE, bundle),
    Check("W19.2", RequirementLevel.MUST, "each bundled section has a=rtcp-mux-only", _BUNDLE, rtcp_mux_only),
    Check(
        "W20.1",
        RequirementLevel.MUST,
        "the answer to a=setup:actpass chooses a role",
        "RFC 8842, 5.3",
        setup_of_the_answer,
    ),
    Check(
        "W20.2",
        RequirementLevel.SHOULD,
        "a=setup:active is answered passive, or refused with 422",
        _DTLS,
        active_clients,
    ),
    Check("W20.3", RequirementLevel.MUST, "the answer has a fingerprint", "RFC 8842, 5.3", certificate),
    Check("W28", RequirementLevel.MAY, "the server's ICE is full, or lite where it can be reached", _ICE, ice_mode),
    Check(
        "W29",
        RequirementLevel.MUST,
        "simulcast that is accepted is answered as RFC 8853 says",
        _SIMULCAST,
        simulcast,
        WHIP,
    ),
)
