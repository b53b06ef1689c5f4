"""Make aiortc's descriptions look like those of a browser with the vendor SDK."""

from __future__ import annotations

#: Kilobits a second that the SDK writes into its offers.
_BANDWIDTH = {"audio": 56, "video": 512}


def as_browser_offer(sdp: str) -> tuple[str, list[tuple[str, int, str]]]:
    """Turn a complete offer into a trickling one.

    Returns the offer, without candidates, and the candidates as ``(mid, m-line index, candidate line)``. As the SDK does, the
    directions are ``sendrecv`` and ``b=AS`` stands before ``c=``, which is not the order of RFC 8866 but is what servers get.
    """
    sdp, candidates = as_browser_answer(sdp)
    lines: list[str] = []
    for line in sdp.splitlines():
        lines.append("a=sendrecv" if line == "a=sendonly" else line)
        kind = line[2:].partition(" ")[0] if line.startswith("m=") else ""
        if kind in _BANDWIDTH:
            lines.append(f"b=AS:{_BANDWIDTH[kind]}")
    return "\r\n".join(lines) + "\r\n", candidates


def as_browser_answer(sdp: str) -> tuple[str, list[tuple[str, int, str]]]:
    """Turn a complete answer into a trickling one; returns what ``as_browser_offer`` does."""
    lines: list[str] = []
    candidates: list[tuple[str, int, str]] = []
    mids: list[str] = []
    for line in sdp.splitlines():
        if line.startswith("m="):
            fields = line.split(" ")
            fields[1] = "0" if fields[1] == "0" else "9"  # 0 refuses the section
            lines.append(" ".join(fields))
            mids.append("")
        elif line.startswith("c="):
            lines.append("c=IN IP4 0.0.0.0")
        elif line.startswith("a=candidate:"):
            candidates.append(("", len(mids) - 1, line[2:]))
        elif line == "a=end-of-candidates":
            continue
        else:
            if line.startswith("a=mid:"):
                mids[-1] = line[6:]
            if line.startswith("a=ice-ufrag:"):
                lines.append("a=ice-options:trickle")
            lines.append(line)
    # In a bundle every section has the same candidates; a browser trickles those of the first.
    trickled = [(mids[index], index, text) for _, index, text in candidates if index == 0]
    return "\r\n".join(lines) + "\r\n", trickled


def as_http_offer(sdp: str) -> str:
    """Add ``a=rtcp-mux-only`` to each section, for WHIP and WHEP (RFC 9725, 4.4.1)."""
    return sdp.replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=rtcp-mux-only\r\n")


def receive_nothing(answer: str) -> str:
    """Make an answer send nothing, so that aiortc starts no decoder for it."""
    directions = {"a=sendrecv": "a=recvonly", "a=sendonly": "a=inactive"}
    return "\r\n".join(directions.get(line, line) for line in answer.splitlines()) + "\r\n"
