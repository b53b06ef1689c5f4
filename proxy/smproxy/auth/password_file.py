"""User names and passwords, as the vendor's simple authentication has them in a file."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from smproxy.auth.request import AuthRequest
from smproxy.auth.scheme import LocalScheme
from smproxy.auth.verdict import ALLOWED, Verdict, denied


class PasswordScheme(LocalScheme):
    """Compares user name and password with those that are known."""

    name = "file"

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = dict(passwords)

    def check(self, request: AuthRequest) -> Verdict:
        if not request.username or not request.password:
            return denied("username and password are needed")
        known = self._passwords.get(request.username, "")
        if not known or not hmac.compare_digest(known.encode(), request.password.encode()):
            return denied("unknown user or wrong password")
        return ALLOWED
