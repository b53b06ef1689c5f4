"""Keeping a test that freezes ``datetime`` from spoiling certificates for the tests after it."""

from __future__ import annotations

import functools

import aiortc


@functools.cache
def see_real_datetime() -> None:
    """Let ``cryptography`` see the real ``datetime``: it keeps the class that it meets first, and refuses all others then."""
    aiortc.RTCCertificate.generateCertificate()
