"""Signatures as LiveKit and OvenMediaEngine make them, beside that of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import warnings
from collections.abc import Callable

from smproxy.hooks.sinks.signature import Signer

#: Seconds for which LiveKit's tokens are valid.
_LIFETIME = 300

#: LiveKit's key for development, for a secret without one.
_DEVELOPMENT_KEY = "devkey"


class LiveKitSigner(Signer):
    """Adds ``Authorization``: a JSON Web Token with the digest of the body.

    ``secret``: ``KEY:SECRET``.
    """

    authorizes = True

    def __init__(self, secret: str) -> None:
        super().__init__(secret)
        key, colon, value = secret.partition(":")
        self._issuer, self._secret = (key, value) if colon else (_DEVELOPMENT_KEY, secret)

    def headers(self, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the signatures of one attempt, as headers."""
        import jwt  # where LiveKit's tokens are made: it brings cryptography

        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        claims = {"iss": self._issuer, "nbf": timestamp, "exp": timestamp + _LIFETIME, "sha256": digest}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the secret is short: LiveKit's own for development is "secret"
            token = jwt.encode(claims, self._secret, algorithm="HS256")
        return super().headers(event_id, timestamp, body) | {"Authorization": token}


class OvenMediaEngineSigner(Signer):
    """Adds ``X-OME-Signature``: HMAC-SHA1 of the body, in base64url without padding."""

    def __init__(self, secret: str) -> None:
        super().__init__(secret)
        self._secret = secret.encode("utf-8", "surrogateescape")

    def headers(self, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the signatures of one attempt, as headers."""
        digest = hmac.new(self._secret, body, hashlib.sha1).digest()
        signature = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return super().headers(event_id, timestamp, body) | {"X-OME-Signature": signature}


#: The signers of formats that have one of their own.
_SIGNERS: dict[str, Callable[[str], Signer]] = {"livekit": LiveKitSigner, "ome": OvenMediaEngineSigner}


def signer_for(format: str, secret: str) -> Signer:
    """Make what signs the hooks of a format.

    Raises:
        ValueError: the secret cannot be used; the text does not show it.
    """
    return _SIGNERS.get(format, Signer)(secret)
