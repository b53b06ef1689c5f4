"""Make the authentication scheme that the settings ask for."""

from __future__ import annotations

from smproxy.auth.scheme import Scheme
from smproxy.properties import decode_properties, parse_properties
from smproxy.settings.settings import Settings, SettingsError
from smproxy.signaling.clock import Clock

#: The vendor calls the end of a session only when the path is longer than this.
_SHORT_PATH = 3


def make_scheme(settings: Settings, clock: Clock) -> Scheme | None:
    """Return the scheme; ``None`` when everybody may publish and subscribe.

    Raises:
        SettingsError: it cannot be used.
    """
    if settings.auth is not None:
        kind, _, value = settings.auth.partition(":")
        match kind:
            case "jwt":
                from smproxy.auth.jwt_tokens import JwtScheme

                return JwtScheme(value, issuer=settings.auth_issuer, ttl=settings.auth_ttl, now=clock.wall)
            case "digest":
                from smproxy.auth.digest_tokens import DigestScheme

                return DigestScheme(value, now=clock.wall)
            case _:
                return _password_file(value)
    urls = _back_end_urls(settings)
    if urls is None:
        return None
    from smproxy.auth.back_end import BackEnd

    return BackEnd(*urls, extended=settings.auth_format == "extended")


def _back_end_urls(settings: Settings) -> tuple[str, str | None] | None:
    """Return where to ask, and where to send the ends of sessions.

    They come from ``--auth-uri``, else from the vendor's five properties.
    """
    base, validate, invalidate = settings.auth_uri, "/validateCredentials", "/invalidateCredentials"
    if base is None:
        if settings.auth_server_validate is None:
            return None
        validate, invalidate = settings.auth_server_validate, settings.auth_server_invalidate or ""
        host = f"[{settings.auth_server_host}]" if ":" in settings.auth_server_host else settings.auth_server_host
        base = f"{settings.auth_server_protocol.removesuffix('://')}://{host}:{settings.auth_server_port}"
    base = base.rstrip("/")

    def url(path: str) -> str:
        return f"{base}/{path.lstrip('/')}"

    return url(validate), url(invalidate) if len(invalidate) > _SHORT_PATH else None


def _password_file(path: str) -> Scheme:
    from smproxy.auth.password_file import PasswordScheme

    try:
        with open(path, "rb") as file:
            entries = parse_properties(decode_properties(file.read()))
    except OSError as error:
        raise SettingsError(
            f"--auth file:{path}: {(error.strerror or str(error)).lower()}: give a readable file"
        ) from None
    except ValueError as error:
        raise SettingsError(f"--auth file:{path}: {error}") from None
    return PasswordScheme({user: entry.value for user, entry in entries.items()})
