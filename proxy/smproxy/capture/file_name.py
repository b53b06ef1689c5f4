"""The name of a session's file."""

from __future__ import annotations

import re

_UNFIT = re.compile(r"[^\w.-]+", re.ASCII)


def file_name(customer_scope: str | None, role: str, id_: str | None, session: int) -> str:
    """Return the name of a session's file, made of what fits into one."""
    parts = (customer_scope, role, id_, str(session))
    return "-".join(_UNFIT.sub("_", each).lstrip(".")[:60] for each in parts if each) + ".pcapng"
