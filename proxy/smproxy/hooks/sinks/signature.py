"""Signatures of what is sent (Standard Webhooks 1.0, symmetric)."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from standardwebhooks import Webhook

_PREFIX = "whsec_"

# Keys of the asymmetric scheme, which is not implemented.
_ASYMMETRIC = ("whsk_", "whpk_")


class Signer:
    """Signs with HMAC-SHA256.

    ``secret``: ``whsec_`` and the key in base64, or any other text, whose UTF-8 bytes are then the key. Raises ``ValueError``,
    which does not show it, when it is empty or not readable.
    """

    #: Whether ``Authorization`` is among the headers.
    authorizes = False

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(_key(secret))

    def __repr__(self) -> str:
        return "<Signer>"

    def headers(self, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the signature of one attempt, as headers.

        ``timestamp``: Unix time in seconds, as in ``webhook-timestamp``.
        """
        signature = self._webhook.sign(event_id, datetime.fromtimestamp(timestamp, UTC), body.decode())
        return {"webhook-signature": signature}


def _key(secret: str) -> bytes:
    if secret.startswith(_ASYMMETRIC):
        raise ValueError("hook secret: asymmetric keys are not supported, give whsec_ and a key in base64")
    if not secret.startswith(_PREFIX):
        key = secret.encode("utf-8", "surrogateescape")
    else:
        encoded = secret.removeprefix(_PREFIX)
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("hook secret: what follows whsec_ is not base64") from None
    if not key:
        raise ValueError("hook secret: it is empty")
    return key
