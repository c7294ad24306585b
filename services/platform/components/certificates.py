"""The platform's own certificate authority, and the certificate that all its listeners use."""

from __future__ import annotations

import secrets
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, ip_address
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.chassis.files import write_private

ADDRESS = "127.0.0.1"
NAME = "localhost"
AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=365)
# Long enough that a platform that is started once a month never has an expired certificate.
RENEWED_BEFORE = timedelta(days=30)
# One machine has one clock, but the clock of a virtual machine may be set back.
BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of one platform, all of them for its owner alone."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The authority's certificate, which clients trust."""
        return self.folder / "authority.pem"

    @property
    def authority_key(self) -> Path:
        """The key that signs the next server certificate."""
        return self.folder / "authority.key"

    @property
    def server(self) -> Path:
        """The certificate that listeners serve, and behind it the authority's."""
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        """Its key."""
        return self.folder / "server.key"

    @property
    def server_both(self) -> Path:
        """Key and certificates in one file, as Kafka reads them."""
        return self.folder / "server.both.pem"

    @property
    def server_store(self) -> Path:
        """Key and certificates as PKCS #12, as Zipkin reads them."""
        return self.folder / "server.p12"

    @property
    def store_password_file(self) -> Path:
        """The password of that store."""
        return self.folder / "server.p12.password"

    @property
    def world(self) -> Path:
        """The public authorities and this one, for commands that also call addresses on the internet."""
        return self.folder / "world.pem"

    def ensure(self, now: datetime | None = None) -> bool:
        """Create missing files and renew certificates before they expire; returns whether anything changed.

        The same authority signs a new server certificate while it is valid, so clients need no change.
        """
        now = now or datetime.now(UTC)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        made = self._ensure(now)
        # Every time: the public authorities change with their package.
        write_private(self.world, certifi.contents() + self.authority.read_text())
        return made

    def _ensure(self, now: datetime) -> bool:
        whole = all(
            path.exists()
            for path in (self.server_key, self.server_both, self.server_store, self.store_password_file)
        )
        authority_lives = self.authority_key.exists() and _lives(self.authority, now + SERVER_LIFE)
        if authority_lives and whole and _lives(self.server, now):
            return False
        # Written last: after an interruption before it, everything is created again.
        self.server.unlink(missing_ok=True)
        if not authority_lives:
            self._make_authority(now)
        self._make_server(now)
        return True

    def serial(self) -> str:
        """Which server certificate it is."""
        return f"{_read(self.server).serial_number:x}"

    def environment(self) -> dict[str, str]:
        """A variable for every process that serves the certificate: with another one it has to be started again."""
        return {"CREDITMESH_CERTIFICATE": self.serial()}

    def client_context(self) -> ssl.SSLContext:
        """The trust settings of a client: this authority only."""
        return ssl.create_default_context(cafile=self.authority)

    def _make_authority(self, now: datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _named("creditmesh platform")
        certificate = (
            _builder(name, name, key, key)
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            # A user may trust it in a browser: its key must then be valid for this machine's names only.
            .add_extension(
                x509.NameConstraints(
                    [x509.DNSName(NAME), x509.IPAddress(IPv4Network(f"{ADDRESS}/32"))], None
                ),
                critical=True,
            )
            .sign(key, hashes.SHA256())
        )
        write_private(self.authority_key, _key_text(key))
        write_private(self.authority, _text(certificate))

    def _make_server(self, now: datetime) -> None:
        authority = _read(self.authority)
        signing = load_pem_private_key(self.authority_key.read_bytes(), None)
        assert isinstance(signing, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_named(NAME), authority.subject, key, signing)
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + SERVER_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            # Kafka's broker is also the client of its controller.
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(ip_address(ADDRESS))]),
                critical=False,
            )
            .sign(signing, hashes.SHA256())
        )
        chain = _text(certificate) + _text(authority)
        password = secrets.token_urlsafe(24)
        store = pkcs12.serialize_key_and_certificates(
            b"server", key, certificate, [authority], BestAvailableEncryption(password.encode())
        )
        write_private(self.store_password_file, password)
        write_private(self.server_store, store)
        write_private(self.server_key, _key_text(key))
        write_private(self.server_both, _key_text(key) + chain)
        write_private(self.server, chain)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signing: ec.EllipticCurvePrivateKey,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
        )
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _read(file: Path) -> x509.Certificate:
    """The first certificate of a file."""
    return x509.load_pem_x509_certificate(file.read_bytes())


def _lives(file: Path, at: datetime) -> bool:
    """Whether the certificate is there and is not about to expire then."""
    return file.exists() and _read(file).not_valid_after_utc > at + RENEWED_BEFORE
