"""A development certificate authority: one command makes all that mutual TLS needs on a testbed.

For a testbed and for CI. A deployment uses its own authority; what Airshed looks at is only the URI in a certificate
(see controller/peers.py). The only file that imports cryptography's X.509 side.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.peers import Role, identity
from spectrum.errors import BadInput

VALID_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificates(
    folder: Path, hosts: Sequence[str], gateways: Sequence[str], operators: Sequence[str], now: dt.datetime
) -> list[Path]:
    """Write ca, controller, gateway-NAME and operator-NAME as .pem and .key; returns the files made.

    An authority that is already in the folder signs again, so that gateways can be added later.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in (*gateways, *operators):
        if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise BadInput(f"a name in a certificate has letters, digits, dots, dashes and underscores, got {name!r}")
    made: list[Path] = []
    authority = _authority(folder, now, made)
    names: list[x509.GeneralName] = [_host(host) for host in hosts]
    _write(folder, "controller", *_signed(authority, "controller", names, now), made)
    holders: list[tuple[Role, str]] = [("gateway", name) for name in gateways]
    holders += [("operator", name) for name in operators]
    for role, name in holders:
        uri = x509.UniformResourceIdentifier(identity(role, name))
        _write(folder, f"{role}-{name}", *_signed(authority, name, [uri], now), made)
    return made


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _authority(folder: Path, now: dt.datetime, made: list[Path]) -> _Authority:
    pem, secret = folder / "ca.pem", folder / "ca.key"
    if pem.exists() and secret.exists():
        try:
            key = serialization.load_pem_private_key(secret.read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(pem.read_bytes())
        except ValueError as error:
            raise BadInput(f"{folder}: ca.pem and ca.key are no authority of ours: {error}") from None
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return _Authority(certificate, key)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Airshed development authority")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder, "ca", certificate, key, made)
    return _Authority(certificate, key)


def _signed(
    authority: _Authority, name: str, names: Sequence[x509.GeneralName], now: dt.datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return certificate, key


def _write(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, made: list[Path]
) -> None:
    """The certificate for all to read, the key for its owner only."""
    pem, secret = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    secret.unlink(missing_ok=True)
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private)
    made.extend((pem, secret))
