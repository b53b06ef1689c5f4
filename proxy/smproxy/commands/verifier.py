"""Checking signatures, with the verifier that receivers use (Standard Webhooks)."""

from __future__ import annotations

from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError

from smproxy.hooks.sinks.signature import Signer


class Verifier:
    """Checks deliveries against one secret, written as for ``--hook-secret``.

    Raises ``ValueError`` for an unusable one.
    """

    def __init__(self, secret: str) -> None:
        Signer(secret)  # says what is wrong with a secret
        self._webhook = Webhook(secret if secret.startswith("whsec_") else secret.encode("utf-8", "surrogateescape"))

    def problem(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """Return what is wrong with the signature, or ``None``."""
        try:
            self._webhook.verify(body, dict(headers), json_parse=False)
        except WebhookVerificationError as error:
            return str(error).lower()
        except ValueError:  # a header or a body that the library cannot take apart
            return "unreadable signature"
        return None
