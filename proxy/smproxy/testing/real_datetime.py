"""Keeping a frozen ``datetime`` out of the certificates of later tests."""

from __future__ import annotations

import functools

import aiortc


@functools.cache
def see_real_datetime() -> None:
    """Let ``cryptography`` see the real ``datetime``.

    It keeps the class that it meets first, and refuses all others then.
    """
    aiortc.RTCCertificate.generateCertificate()
