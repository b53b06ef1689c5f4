"""What a browser does to a text before it sends it."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """Replace halves of surrogate pairs, as for a ``USVString`` (Web IDL, 3.2.11)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
