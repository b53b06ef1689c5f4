"""Make the TLS context that the settings ask for."""

from __future__ import annotations

import datetime
import ssl
from typing import TYPE_CHECKING

from smproxy.addresses import network_names
from smproxy.settings.settings import Settings, SettingsError
from smproxy.signaling.clock import Clock

if TYPE_CHECKING:
    from smproxy.certificates import CertificateFiles


def make_tls_context(settings: Settings, clock: Clock) -> tuple[ssl.SSLContext | None, CertificateFiles | None]:
    """Return the context, and the local authority where one was made; ``None`` without TLS.

    Raises:
        SettingsError: a file cannot be used.
    """
    if not settings.tls:
        return None, None
    from smproxy.certificates import self_signed, server_context  # they bring cryptography

    authority = None
    certificate, key = settings.tls_cert, settings.tls_key
    try:
        if settings.tls_self_signed:
            now = datetime.datetime.fromtimestamp(clock.wall(), datetime.UTC)
            authority = self_signed(settings.data_dir / "tls", network_names(settings.host, settings.tls_host), now)
            certificate, key = authority.certificate, authority.key
        assert certificate is not None
        assert key is not None
        return server_context(certificate, key), authority
    except ValueError as error:
        raise SettingsError(f"TLS: {error}") from None
    except OSError as error:
        raise SettingsError(f"TLS: {error.filename}: {error.strerror}: give a writable --data-dir") from None
