"""The local authority makes certificates that clients who trust it accept, once."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from smproxy.certificates import self_signed, server_context

NOW = datetime.datetime.now(datetime.UTC)


async def handshake(server: ssl.SSLContext, authority: Path, name: str) -> None:
    """Do a TLS handshake with ``name`` on loopback, trusting only ``authority``."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        client = ssl.create_default_context(cafile=str(authority))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        await reader.read()
        writer.close()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "192.0.2.9"])
async def test_trusted(tmp_path: Path, name: str) -> None:
    """A client that trusts the authority accepts the certificate for localhost and for the listening address."""
    files = self_signed(tmp_path, ["192.0.2.9"], NOW)
    await handshake(server_context(files.certificate, files.key), files.authority, name)


async def test_other_name_refused(tmp_path: Path) -> None:
    """A name that the certificate is not for is refused by the client."""
    files = self_signed(tmp_path, ["127.0.0.1"], NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(server_context(files.certificate, files.key), files.authority, "example.com")


def test_made_once(tmp_path: Path) -> None:
    """A second start uses the same authority and certificate, so trust has to be given once."""
    files = self_signed(tmp_path, ["127.0.0.1"], NOW)
    before = [path.read_bytes() for path in (files.authority, files.certificate, files.key)]
    self_signed(tmp_path, ["127.0.0.1"], NOW)
    assert [path.read_bytes() for path in (files.authority, files.certificate, files.key)] == before


def test_renewed_under_the_same_authority(tmp_path: Path) -> None:
    """A certificate that is about to expire is made anew, under the authority that is already trusted."""
    files = self_signed(tmp_path, ["127.0.0.1"], NOW)
    authority, certificate = files.authority.read_bytes(), files.certificate.read_bytes()
    self_signed(tmp_path, ["127.0.0.1"], NOW + datetime.timedelta(days=395))
    assert files.authority.read_bytes() == authority
    assert files.certificate.read_bytes() != certificate


def test_keys_are_private(tmp_path: Path) -> None:
    """Nobody but the owner can read the private keys."""
    self_signed(tmp_path, ["127.0.0.1"], NOW)
    for name in ("key.pem", "authority-key.pem"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_unreadable_files(tmp_path: Path) -> None:
    """A missing or malformed certificate is refused with its path and the reason."""
    with pytest.raises(ValueError, match=r"nowhere\.pem: No such file"):
        server_context(tmp_path / "nowhere.pem", tmp_path / "key.pem")
    bad = tmp_path / "bad.pem"
    bad.write_text("not a certificate")
    with pytest.raises(ValueError, match=r"bad\.pem"):
        server_context(bad, bad)


def test_foreign_files(tmp_path: Path) -> None:
    """An authority that is not ours, or a key that is none, is refused with its path and what to do."""
    files = self_signed(tmp_path, ["127.0.0.1"], NOW)
    files.certificate.unlink()
    (tmp_path / "authority-key.pem").write_text("")
    with pytest.raises(ValueError, match=r"authority-key\.pem: not a private key"):
        self_signed(tmp_path, ["127.0.0.1"], NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    foreign = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=99))
        .sign(key, hashes.SHA256())
    )
    files.authority.write_bytes(foreign.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(ValueError, match=r"authority\.pem: not this simulator's authority"):
        self_signed(tmp_path, ["127.0.0.1"], NOW)


def test_an_authority_that_may_is_kept(tmp_path: Path) -> None:
    """When an address has gone the authority stays trusted and the certificate is made anew; a new name needs another."""
    files = self_signed(tmp_path, ["192.0.2.9", "desk.local"], NOW)
    authority, certificate = files.authority.read_bytes(), files.certificate.read_bytes()
    self_signed(tmp_path, ["desk.local"], NOW)
    assert files.authority.read_bytes() == authority
    assert files.certificate.read_bytes() != certificate
    self_signed(tmp_path, ["desk.local", "192.0.2.10"], NOW)
    assert files.authority.read_bytes() != authority


def test_keys_go_into_new_files(tmp_path: Path) -> None:
    """A file that lies where a key goes is replaced: its mode and the file that it links to have no part in it."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "authority-key.pem").symlink_to(elsewhere)
    key = tmp_path / "tls" / "key.pem"
    key.write_text("old")
    key.chmod(0o666)
    files = self_signed(tmp_path / "tls", [], NOW)
    assert elsewhere.read_text() == "mine"
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert not (tmp_path / "tls" / "authority-key.pem").is_symlink()
