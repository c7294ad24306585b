"""A process with a certificate serves HTTPS alone, and a client trusts it by the authority that signed it."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.chassis.settings import ServiceSettings

ROOT = Path(__file__).parents[3]


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    by: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    """A certificate of an hour for 127.0.0.1."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
    )
    return builder.sign(by, hashes.SHA256())


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The authority, and a server's certificate and key, as PEM files."""
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    contents = {
        "authority": certificate("ca", authority, "ca", authority, authority=True).public_bytes(pem),
        "certificate": certificate("server", server, "ca", authority, authority=False).public_bytes(pem),
        "key": server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in contents}


@pytest.fixture
async def port(files: dict[str, Path]) -> AsyncIterator[int]:
    """A process that has the certificate."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.security.guarded_process"),
        cwd=ROOT,
        env=os.environ
        | {
            "HTTP_PORT": str(port),
            "JWKS": '{"keys": []}',
            "HTTP_TLS_CERTIFICATE_FILE": str(files["certificate"]),
            "HTTP_TLS_KEY_FILE": str(files["key"]),
        },
    )
    yield port
    child.terminate()
    assert await child.wait() == 0


async def until_up(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise TimeoutError("it never listened")


async def test_a_process_with_a_certificate_serves_https_alone(port: int, files: dict[str, Path]) -> None:
    await until_up(port)
    trusting = ssl.create_default_context(cafile=files["authority"])
    async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=trusting) as client:
        assert (await client.get("/livez")).json() == {"status": "ok"}
        refused = await client.post(
            "/notes", content=b"[" * 100_000, headers={"content-type": "application/json"}
        )
        assert refused.status_code == 401
    async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}") as stranger:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.get("/livez")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as plain:
        with pytest.raises(httpx.TransportError):
            await plain.get("/livez")


def test_half_a_certificate_is_refused(files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="HTTP_TLS_KEY_FILE"):
        ServiceSettings(http_port=0, http_tls_certificate_file=files["certificate"])
