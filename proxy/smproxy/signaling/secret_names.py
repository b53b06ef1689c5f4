"""Which names stand for secrets: ``password``, ``accessToken``, ``apiKey`` …"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote

#: What makes a name secret, once its case and all but letters and digits are gone. ``web/shared/redact.js`` has the same.
_SECRET = re.compile(
    r"(?<!com)(?<!by)pass(?!eng|age|iv|ion|es|ed|ing|thro)|pwd|token|secret(?!ar)|signature|credential|apikey|privatekey|accesskey"
    r"|auth(?!or(?!i[sz]))|jwt|bearer|cookie|^(?:sig|hmac|pin|otp|psk|creds?)$"
)
#: Looks like one and is none: the key of one ICE transport (RFC 8839), without which a recorded offer cannot be replayed.
_HARMLESS = frozenset({"icepwd"})
#: Names whose value may have a userinfo although no scheme stands before it.
_ADDRESS = frozenset({"host", "hostname", "server", "serveraddress", "endpoint", "url", "uri"})
_LITERAL = re.compile(r"[\W_]+")
_UNICODE_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
#: Characters of a name that is worth remembering.
_SHORT = 64
#: Layers of escaping that are looked through.
_LAYERS = 4


def is_secret(name: str) -> bool:
    """Return whether a value of this name is to be removed."""
    return _known_name(name) if len(name) <= _SHORT else _reads_secret(name)


def _reads_secret(name: str) -> bool:
    plain = _plain(name)
    return plain not in _HARMLESS and _SECRET.search(plain) is not None


#: Names come from clients, so those that are remembered are short and few.
_known_name = lru_cache(maxsize=1024)(_reads_secret)


def is_address(name: str) -> bool:
    """Return whether a value of this name may have a userinfo without a scheme before it."""
    return _plain(name) in _ADDRESS


def _plain(name: str) -> str:
    """Return a name without case, separators and escapes: ``Access-Token`` as ``accesstoken``."""
    for _ in range(_LAYERS):
        if "%" not in name:
            break
        name = unquote(name)
    name = _UNICODE_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), name)
    return _LITERAL.sub("", unicodedata.normalize("NFKC", name).casefold())
