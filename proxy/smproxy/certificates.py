"""A local certificate authority and a certificate for this machine, made once.

The authority's key never leaves the data directory and its certificate may sign for the names of this simulator only
(RFC 5280, 4.2.1.10), so that trusting it opens nothing else.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smproxy.private_files import open_private, read_private, write_private

_AUTHORITY_LIFE = datetime.timedelta(days=3650)
_CERTIFICATE_LIFE = datetime.timedelta(days=397)  # the longest that browsers accept
_RENEW_BEFORE = datetime.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where the PEM files lie."""

    authority: Path
    certificate: Path
    key: Path


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Make the TLS context of a server.

    Raises:
        ValueError: the files cannot be read or do not fit together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key):
        try:
            path.read_bytes()
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
    try:
        # An encrypted key would make OpenSSL ask on the terminal: an empty password makes it fail instead.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or "not a PEM certificate"
        raise ValueError(f"{certificate}, {key}: {str(reason).replace('_', ' ').lower()}") from None
    return context


def self_signed(directory: Path, hosts: Iterable[str], now: datetime.datetime) -> CertificateFiles:
    """Return the files of a certificate for localhost and ``hosts``.

    They are made when they are missing, old or for others.
        An authority that may sign for all of them is kept, so that it has to be trusted only once.

    Raises:
        OSError: the directory cannot be written.
        ValueError: a file in it is not what it should be.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = CertificateFiles(directory / "authority.pem", directory / "certificate.pem", directory / "key.pem")
    authority_key_file = directory / "authority-key.pem"
    names = _names(hosts)
    if not (files.authority.exists() and authority_key_file.exists() and _fits(files.authority, names, now)):
        authority_key = ec.generate_private_key(ec.SECP256R1())
        _write_key(authority_key_file, authority_key)
        write_private(files.authority, _authority(authority_key, names, now).public_bytes(serialization.Encoding.PEM))
        files.certificate.unlink(missing_ok=True)
    if not (files.certificate.exists() and files.key.exists() and _fits(files.certificate, names, now)):
        try:
            signer = serialization.load_pem_private_key(read_private(authority_key_file), password=None)
        except (ValueError, TypeError):
            raise ValueError(f"{authority_key_file}: not a private key: remove {directory} and start again") from None
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{authority_key_file}: not the key of this simulator's authority: remove {directory}")
        authority = x509.load_pem_x509_certificate(read_private(files.authority))
        key = ec.generate_private_key(ec.SECP256R1())
        _write_key(files.key, key)
        certificate = _certificate(key, names, authority, signer, now)
        write_private(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    for key_file in (authority_key_file, files.key):
        os.close(open_private(key_file, os.O_RDONLY))  # which takes rights away that somebody gave to others
    return files


def _names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host.encode("idna").decode()))
    return list(dict.fromkeys(names))


def _fits(path: Path, names: list[x509.GeneralName], now: datetime.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(read_private(path))
    except ValueError:
        raise ValueError(f"{path}: not a certificate: remove it and start again") from None
    if certificate.not_valid_after_utc - _RENEW_BEFORE < now:
        return False
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        return set(constraints.permitted_subtrees or []) >= set(_constraints(names))
    except x509.ExtensionNotFound:
        if certificate.issuer == certificate.subject:
            raise ValueError(f"{path}: not this simulator's authority: move it away and start again") from None
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == names


def _constraints(names: list[x509.GeneralName]) -> list[x509.GeneralName]:
    """Return the names as subtrees: an address becomes the network that holds just it."""
    return [
        x509.IPAddress(ipaddress.ip_network(name.value)) if isinstance(name, x509.IPAddress) else name for name in names
    ]


def _authority(
    key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName], now: datetime.datetime
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Local stream manager authority")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(_constraints(names), None), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _certificate(
    key: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName],
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(min(now + _CERTIFICATE_LIFE, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    write_private(
        path,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
