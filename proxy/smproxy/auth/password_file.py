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
        # Of somebody who is not known a password is compared, too, so that the time does not tell who is.
        same = hmac.compare_digest((known or "-").encode(), request.password.encode(errors="replace"))
        if not known or not same:
            return denied("unknown user or wrong password")
        return ALLOWED
