"""Hook URIs, the names sinks go by, and what HTTP answers mean."""

from __future__ import annotations

import pytest
from yarl import URL

from proxy.hooks.sink import DELIVERED, Dead, Disabled, Outcome, Retry
from proxy.hooks.uris import parse_hook_uri
from proxy.hooks.webhook import WebhookSink, classify, display_name, retry_after


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "needs a scheme and a host"),
        ("localhost:8080/hooks", "needs a scheme and a host"),
        ("http:/localhost/hooks", "needs a scheme and a host"),
        ("ftp://localhost/", "unknown scheme 'ftp'"),
        ("nats://localhost:4222", "later version"),
        ("http://", "no host"),
        ("http:///hooks", "no host"),
        ("http://:8080/", "host"),
        ("http://localhost:port/", "bad port"),
        ("http://localhost:65536/", "bad port"),
        ("http://localhost:0/", "bad port"),
        ("http://[::1/", "host"),
        ("http://local host/", "space"),
        ("http://localhost/\r\nX: y", "control character"),
    ],
)
def test_a_bad_uri_gets_one_clear_line(uri: str, why: str) -> None:
    """What cannot be a receiver is refused with one printable line that says what is wrong."""
    with pytest.raises(ValueError, match="hook URI") as caught:
        parse_hook_uri(uri)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "uri",
    [
        "http://ann:s3cret@host:port/",
        "http://ann:s3cret@host:99999/",
        "http://ann:s3cret@/hooks",
        "http://ann:s3/cret@host/",
        "ann:s3cret@host/hooks",
        "nats://ann:s3cret@host",
        "ftp://ann:s3cret@host/",
        "http://host:0/?token=s3cret",
        "http://ann:s3cret@ho st/",
    ],
)
def test_an_error_shows_no_credentials(uri: str) -> None:
    """Neither the text of the error nor its cause shows a user, a password or a token."""
    with pytest.raises(ValueError, match="hook URI") as caught:
        parse_hook_uri(uri)
    for secret in ("s3cret", "ann", "s3/cret", "cret"):
        assert secret not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("http://localhost:8080/hooks", "http://localhost:8080/hooks"),
        ("HTTPS://Example.com/a/b", "https://example.com/a/b"),
        ("http://ann:s3cret@localhost/h", "http://***@localhost/h"),
        ("http://:s3cret@localhost/h", "http://***@localhost/h"),
        ("http://localhost/h?token=s3cret#part", "http://localhost/h?***"),
        ("http://[::1]:9000/", "http://[::1]:9000/"),
    ],
)
def test_a_sink_goes_by_its_url_without_secrets(uri: str, name: str) -> None:
    """The name of a sink, and its repr, are its URL without credentials, query values and fragment."""
    sink = parse_hook_uri(uri)
    assert sink.name == display_name(URL(uri)) == name
    assert isinstance(sink, WebhookSink)
    assert repr(sink) == f"<WebhookSink {name}>"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((status, DELIVERED) for status in (200, 201, 202, 204, 299)),
        *((status, Retry(3.0, f"HTTP {status}")) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
        *((status, Dead(f"HTTP {status}")) for status in (400, 401, 403, 404, 405, 409, 413, 418, 422, 451)),
        *((status, Dead(f"HTTP {status}: redirects are not followed")) for status in (300, 301, 302, 307, 308)),
        (410, Disabled("HTTP 410 Gone")),
    ],
)
def test_each_status_has_its_outcome(status: int, outcome: Outcome) -> None:
    """2xx is delivered; 408, 425, 429 and 5xx are tried again; 410 disables; the rest is dead."""
    assert classify(status, 3.0) == outcome


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 400, 999999999999.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60.0),
        ("Wed, 21 Oct 2015 07:26:00 GMT", 0.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    """Retry-After is read as RFC 9110 writes it; the past is now, and nonsense is nothing."""
    assert retry_after(value, now=1445412420.0) == seconds
