"""Hook URIs, the names sinks go by, and what HTTP answers mean."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.hooks.formats.registry import FORMATS
from smproxy.hooks.sink import DELIVERED, Dead, Disabled, Outcome, Retry
from smproxy.hooks.sinks.nats import NatsSink, customer_scope_token
from smproxy.hooks.sinks.uris import parse_hook_uri
from smproxy.hooks.sinks.webhook import WebhookSink, classify, display_name, retry_after
from yarl import URL


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "needs a scheme and a host"),
        ("localhost:8080/hooks", "needs a scheme and a host"),
        ("http:/localhost/hooks", "needs a scheme and a host"),
        ("ftp://localhost/", "unknown scheme 'ftp'"),
        ("nats://", "no host"),
        ("nats://localhost:0", "bad port"),
        ("nats://localhost/a b", "space"),
        ("nats://localhost/a/b", "prefix"),
        ("nats://localhost/a..b", "prefix"),
        ("nats://localhost/hooks.>", "prefix"),
        ("nats://localhost/hooks.*", "prefix"),
        ("nats://localhost/$JS", "prefix"),
        ("tls://localhost/?x=1", "query"),
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
        "nats://ann:s3cret@host/a/b",
        "nats://s3cret@host/?a=b",
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
        ("nats://localhost", "nats://localhost"),
        ("nats://ann:s3cret@localhost:4222/live", "nats://***@localhost:4222/live"),
        ("tls://s3cret@localhost/live", "tls://***@localhost/live"),
    ],
)
def test_a_sink_goes_by_its_url_without_secrets(uri: str, name: str) -> None:
    """The name of a sink, and its repr, are its URL without credentials, query values and fragment."""
    sink = parse_hook_uri(uri)
    assert sink.name == display_name(URL(uri)) == name
    kind = WebhookSink if name.startswith("http") else NatsSink
    assert isinstance(sink, kind)
    assert repr(sink) == f"<{kind.__name__} {name}>"


@pytest.mark.parametrize("uri", ["http://localhost/h", "nats://localhost"])
def test_each_format_is_a_sink_of_its_own(uri: str) -> None:
    """The name of a sink tells its format, so that one receiver can have two of them."""
    names = [parse_hook_uri(uri, format=name).name for name in FORMATS]
    assert names == [uri, *(f"{uri} ({name})" for name in FORMATS if name != "envelope")]
    with pytest.raises(ValueError, match="unknown hook format 'xml'"):
        parse_hook_uri(uri, format="xml")


def test_a_customer_scope() -> None:
    """What stands after ``scope=`` is in the sink's name; without a name or a URL it is refused in one line."""
    assert parse_hook_uri("scope=acme,http://u:p@localhost/h").name == "http://***@localhost/h (scope acme)"
    assert parse_hook_uri("scope=a%2Cb,http://localhost/h", format="srs").name == "http://localhost/h (srs) (scope a,b)"
    with pytest.raises(ValueError, match="has an Authorization of its own"):
        parse_hook_uri("http://u:p@localhost/h", format="livekit", secret="devkey:secret")
    for uri in ("scope=acme", "scope=,http://localhost/h", "scope=acme,localhost", "scope=a,scope=b"):
        with pytest.raises(ValueError, match="hook URI"):
            parse_hook_uri(uri)


def test_without_its_package_nats_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A nats:// URI without nats-py gets one line with the command that helps."""
    for name in [name for name in sys.modules if name == "nats" or name.startswith("nats.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("smproxy.hooks.sinks.nats", "smproxy.hooks.sinks.jetstream"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "nats", None)
    with pytest.raises(ValueError, match=re.escape("pip install 'nats-py>=2.16,<3'")) as caught:
        parse_hook_uri("nats://ann:s3cret@localhost")
    assert "s3cret" not in str(caught.value)
    assert isinstance(parse_hook_uri("http://localhost"), WebhookSink)


def test_a_port_that_is_not_given_is_the_usual_one() -> None:
    """nats:// and tls:// without a port go to 4222."""
    for uri in ("nats://localhost", "tls://localhost/live"):
        assert parse_hook_uri(uri)._server.port == 4222  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("scope", "token"),
    [
        (None, "_"),
        ("", "_"),
        ("_", "%5F"),
        ("acme", "acme"),
        ("A-b_9", "A-b_9"),
        ("a.b", "a%2Eb"),
        (">", "%3E"),
        ("*", "%2A"),
        ("a b\r\n", "a%20b%0D%0A"),
        ("~", "%7E"),
        ("100%", "100%25"),
        ("é", "%C3%A9"),
        ("\ud800", "%3F"),
        ("é" * 5000, ("%C3%A9" * 5000)[:3072]),
    ],
)
def test_a_scope_is_one_token_of_a_subject(scope: str | None, token: str) -> None:
    """Whatever a customer scope holds, it is one token that NATS takes as it is."""
    assert customer_scope_token(scope) == token


@given(first=st.text(max_size=30), second=st.text(max_size=30))
def test_scopes_do_not_share_a_token(first: str, second: str) -> None:
    """Two scopes have two tokens, and a token has only characters that mean nothing in a subject."""
    tokens = customer_scope_token(first), customer_scope_token(second)
    assert (tokens[0] == tokens[1]) == (first == second)
    assert all(re.fullmatch(r"[A-Za-z0-9_%-]+", token) for token in tokens)


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
