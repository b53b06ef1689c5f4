"""Text from elsewhere, made fit for a terminal or a log."""

from __future__ import annotations

import json


def printable(text: str) -> str:
    """Escape what would act on a terminal, or turn its text round, as JSON does: ``\\u001b``."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)
