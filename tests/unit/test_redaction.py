"""Redaction: what is a secret, and that no form of it is left in what is shown."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.signaling.redaction import Redactor, redact_json
from smproxy.signaling.secret_names import is_secret

SECRETS = {"password": "hunter2!", "accessToken": "a.b/c=d", "streamSecret": 'with "quotes"', "apiKey": "ключ"}


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_removed_wherever_they_are(name: str) -> None:
    """The value of a secret parameter is removed as it is, as JSON writes it and as a URL does; nothing else is."""
    value = SECRETS[name]
    redactor = Redactor(f"/streammanager/?id=cam-1&{name}={quote(value, safe='')}&recording=true")
    assert redactor.url == f"/streammanager/?id=cam-1&{name}=***&recording=true"
    for text in (value, json.dumps(value), json.dumps(value, ensure_ascii=False), quote(value, safe="")):
        assert "***" in redactor.text(f"before {text} after")
        assert value not in redactor.text(f"before {text} after")
    assert redactor.text("cam-1 true recording") == "cam-1 true recording"
    assert value not in repr(redactor)


@pytest.mark.parametrize("text", ["p%2bw+%22q%21%3f", "p%2Bw%20%22q!%3F", "p%2Bw+%22q%21%3F", "p%2bw%20%22q%21%3f"])
def test_secrets_as_browsers_and_forms_escape_them(text: str) -> None:
    """A secret is found however it is escaped for a URL: small letters, a plus for a space, what JavaScript leaves alone."""
    secret = quote('p+w "q!?', safe="")
    redactor = Redactor(f"/?id=s&password={secret}")
    assert redactor.text(f"before {text} after") == "before *** after"


def test_secrets_in_meta_are_removed() -> None:
    """A token inside of the JSON of ``meta`` is a secret too, and the rest of it stays."""
    meta = '{"room":"A","auth":{"jwt":"eyJhbGciOi"}}'
    redactor = Redactor(f"/?id=s&meta={quote(meta)}")
    assert "eyJhbGciOi" not in redactor.url
    assert quote("room") in redactor.url
    assert redactor.text('{"jwt":"eyJhbGciOi"}') == '{"jwt":"***"}'


def test_a_short_password_is_removed_where_it_stands_alone() -> None:
    """A password that is a common syllable does not tear other words apart."""
    redactor = Redactor("/?id=s&password=cam")
    assert redactor.text('{"publish":"camera","x":"cam"}') == '{"publish":"camera","x":"***"}'


@pytest.mark.parametrize(
    "name",
    [
        *(
            "password",
            "userPass",
            "pass_word",
            "PWD",
            "Access-Token",
            "apiKey",
            "X-API-Key",
            "authorization",
            "authToken",
        ),
        *(
            "p%61ssword",
            "p%2561ssword",
            "p\\u0061ssword",
            "ｐａｓｓｗｏｒｄ",
            "clientSecret",
            "Cookie",
            "pin",
            "sig",
            "jwt",
        ),
    ],
)
def test_names_of_secrets(name: str) -> None:
    """A name is a secret's whatever its case, separators and escapes, and with words around it."""
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["author", "authority", "compass", "passenger", "bypass", "spin", "secretary", "id", "meta", "ice-pwd", "key"],
)
def test_names_of_other_things(name: str) -> None:
    """A name that only has some letters of such a word is none; the key of an ICE transport is needed to replay an offer."""
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        ({"password": ["a", {"b": "c"}]}, {"password": "***"}),
        ({"auth": {"user": "ann", "pins": [1, 2.5, True]}}, {"auth": "***"}),
        ({"token": 12345}, {"token": "***"}),
        ({"token": None, "secret": "", "jwt": "undefined"}, {"token": None, "secret": "", "jwt": "undefined"}),
        ([{"x": [{"apiKey": 1}]}], [{"x": [{"apiKey": "***"}]}]),
        ({"host": "ann:pw@10.0.0.1"}, {"host": "***@10.0.0.1"}),
        ({"callback": "https://ann:p%40w@x.org/?t=1"}, {"callback": "https://***@x.org/?t=1"}),
        ({"meta": '{"password":[1]}'}, {"meta": '{"password":"***"}'}),
        ({"room": "A", "n": 1, "live": True}, {"room": "A", "n": 1, "live": True}),
    ],
)
def test_secrets_in_a_tree(value: Any, redacted: Any) -> None:
    """All that stands under a secret name goes, of whatever type and however deep; what was not supplied stays to be seen."""
    assert Redactor().value(value) == redacted
    assert json.loads(redact_json(json.dumps(value).encode())) == redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ('meta={"password": "a\\"b", "room": "A"', 'meta={"password": ***, "room": "A"'),
        ('{"password": ["a,b", {"c": "]"}], "room": 1', '{"password": ***, "room": 1'),
        ('{"password": ["a,b", {"c": 1', '{"password": ***'),
        ('"{\\"password\\":\\"x\\\\\\"y\\",\\"z\\":1', '"{\\"password\\":***,\\"z\\":1'),
        ("{password: hunter2, room: A}", "{password: ***, room: A}"),
        ("password='a b', room=A", "password=***, room=A"),
        ("GET /?token=abc&x=1", "GET /?token=***&x=1"),
        ("Authorization: Bearer abc.def x", "Authorization: *** x"),
        ("with Bearer abcdefgh", "with Bearer ***"),
        ("see https://ann:pw@x.org/y", "see https://***@x.org/y"),
        ("%22password%22%3A%22abc%22", '"password":***'),
        ("http://auth:8080/x", "http://auth:8080/x"),
        ("a=ice-pwd:abc\r\na=fmtp:96 x=y", "a=ice-pwd:abc\r\na=fmtp:96 x=y"),
    ],
)
def test_secrets_in_a_text(text: str, redacted: str) -> None:
    """A secret goes from what is no JSON, or broken: to its bracket, its quote, or the end."""
    assert Redactor().text(text) == redacted


def test_userinfo_of_the_host() -> None:
    """What stands before the ``@`` of ``host`` is a secret, here and wherever else it occurs."""
    redactor = Redactor("/?id=s&host=ann:hunter2@10.0.0.1")
    assert redactor.url == "/?id=s&host=***%4010.0.0.1"
    assert redactor.text("cannot dial ann:hunter2@10.0.0.1 or hunter2") == "cannot dial ***@10.0.0.1 or ***"


@given(st.integers(1, 20), st.sampled_from(["plain text ", '{"message":"', "url?x="]))
def test_a_secret_that_was_cut(length: int, before: str) -> None:
    """Of a text that was cut within a secret, the beginning of the secret goes, too."""
    secret = 'a+b"c/d e%f&g=h\\i,j;k'
    redactor = Redactor(f"/?id=s&password={quote(secret, safe='')}")
    for written in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
        shown = redactor.text((before + written)[: len(before) + min(length, len(written))], cut=True)
        assert shown == before + "***"


SECRET = st.text(alphabet="abcXYZ0189+/=%&\"'\\{}[]:;,. éя😀", min_size=6, max_size=24).map(lambda text: f"S{text}S")
NAME = st.sampled_from(["password", "PassWord", "access_token", "apiKey", "x-secret", "auth", "jwt", "credentials"])


@given(SECRET, NAME, st.data())
def test_no_secret_is_left(secret: str, name: str, data: st.DataObject) -> None:
    """A secret at any secret place of a URL or a message, however it is nested and written, is in nothing that is shown."""
    shape: Any = data.draw(st.sampled_from([secret, [secret], {"x": secret}, [[{"y": [1, secret]}]]]))
    tree = {"room": "A", "deep": [{name: shape}]}
    text = data.draw(st.sampled_from([json.dumps(tree), json.dumps(tree, ensure_ascii=False), json.dumps(tree)[:-2]]))
    parameters = {name: secret, "meta": text, "callback": f"wss://{quote(secret, safe='')}@x/?{name}={quote(secret)}"}
    url = "/?id=s&" + "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters.items())
    redactor = Redactor(url)
    shown = [redactor.url, redactor.text(text), redactor.text(quote(text)), redactor.text(f"said {text!r}")]
    shown += [redactor.text(f"{name}={quote(secret)}"), redactor.text(secret), json.dumps(redactor.value(tree))]
    shown += [redactor.text(json.dumps({"log": "info", "message": text})), Redactor().text(json.dumps(tree))]
    for each in shown:
        for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
            assert form not in each


@given(st.text(alphabet="abc=&?%12{}\" '", max_size=60))
def test_any_target_can_be_redacted(target: str) -> None:
    """Whatever a client asks for can be shown, and has no more parameters than before."""
    Redactor(target).text("text")
    assert Redactor(target).url.count("&") == target.count("&")
