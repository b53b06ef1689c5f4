"""Signing secrets and what is signed with them."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.hooks.sinks.signature import Signer
from smproxy.hooks.sinks.uris import parse_hook_uri
from standardwebhooks import Webhook, WebhookVerificationError


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks specification gets the signature that is printed there."""
    signer = Signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signer.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}


@given(key=st.binary(min_size=1, max_size=64), body=st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_any_body_verifies_with_any_key(key: bytes, body: bytes) -> None:
    """What is signed with a key in base64, padded or not, verifies with the library, and with no other key."""
    encoded = base64.b64encode(key).decode()
    now = int(time.time())
    for secret in (f"whsec_{encoded}", f"whsec_{encoded.rstrip('=')}"):
        headers = {"webhook-id": "a", "webhook-timestamp": str(now), **Signer(secret).headers("a", now, body)}
        Webhook(key).verify(body, headers, json_parse=False)
        with pytest.raises(WebhookVerificationError):
            Webhook(key + b"x").verify(body, headers, json_parse=False)


def test_a_plain_secret_is_the_key_itself() -> None:
    """A secret without whsec_ is used as its bytes, also when it looks like base64."""
    now = int(time.time())
    for secret in ("correct horse battery staple", "c2VjcmV0", "pässword"):
        headers = {"webhook-id": "a", "webhook-timestamp": str(now), **Signer(secret).headers("a", now, b"{}")}
        Webhook(secret.encode()).verify(b"{}", headers)


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("", "empty"),
        ("whsec_", "empty"),
        ("whsec_not base64!", "not base64"),
        ("whsec_abcde", "not base64"),
        ("whsec_pässword", "not base64"),
        ("whsk_c2VjcmV0", "asymmetric"),
    ],
)
def test_a_bad_secret_gets_one_line_without_it(secret: str, why: str) -> None:
    """A secret that cannot be used is refused with one line that does not show it, also through the URI parser."""
    for make in (Signer, lambda text: parse_hook_uri("http://localhost/", secret=text)):
        with pytest.raises(ValueError, match="hook secret: ") as caught:
            make(secret)
        text = str(caught.value)
        assert why in text
        assert text.isprintable()
        assert not secret.partition("_")[2] or secret.partition("_")[2] not in text
        assert caught.value.__cause__ is None


def test_a_secret_is_not_shown() -> None:
    """Neither the signer nor the sink shows the secret in its repr or name."""
    sink = parse_hook_uri("http://localhost/", secret="t0psecret")
    assert "t0psecret" not in repr(sink) + sink.name + repr(Signer("t0psecret"))
