"""The platform's certificates: for its owner alone, for this machine alone, and renewed in time."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from services.platform.components.certificates import (
    AUTHORITY_LIFE,
    RENEWED_BEFORE,
    SERVER_LIFE,
    Certificates,
)
from services.platform.components.kafka import Kafka, access
from services.platform.components.mesh import SERVICES, ServiceProcess
from services.platform.home import Home
from services.platform.settings import PlatformSettings

DAY = timedelta(days=1)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    made = Certificates(tmp_path / "tls")
    assert made.ensure()
    return made


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


async def handshake(served: Certificates, trust: ssl.SSLContext, name: str) -> None:
    """One connection to a server with the certificate, by a client that knows it as `name`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(served.server, served.server_key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname=name)
        writer.close()


def test_nobody_else_reads_them(certificates: Certificates) -> None:
    assert certificates.folder.stat().st_mode & 0o777 == 0o700
    files = list(certificates.folder.iterdir())
    assert len(files) == 8
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_client_that_trusts_the_authority_connects(certificates: Certificates, name: str) -> None:
    await handshake(certificates, certificates.client_context(), name)


async def test_a_client_with_another_authority_or_name_does_not(
    certificates: Certificates, tmp_path: Path
) -> None:
    other = Certificates(tmp_path / "other")
    other.ensure()
    for trust, name in (
        (ssl.create_default_context(), "localhost"),
        (other.client_context(), "localhost"),
        (certificates.client_context(), "example.org"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            await handshake(certificates, trust, name)


def test_the_authority_speaks_for_this_machine_alone(certificates: Certificates) -> None:
    constraints = read(certificates.authority).extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert {str(name.value) for name in constraints.value.permitted_subtrees or ()} == {
        "localhost",
        "127.0.0.1/32",
    }


def test_kafka_s_and_zipkin_s_files_hold_the_same(certificates: Certificates) -> None:
    both = certificates.server_both.read_text()
    assert both == certificates.server_key.read_text() + certificates.server.read_text()
    password = certificates.store_password_file.read_bytes()
    store = pkcs12.load_pkcs12(certificates.server_store.read_bytes(), password)
    assert store.cert is not None
    assert store.cert.certificate == read(certificates.server)


def test_they_are_kept_until_a_month_before_they_expire(certificates: Certificates) -> None:
    authority, serial = certificates.authority.read_text(), certificates.serial()
    now = datetime.now(UTC)
    assert not certificates.ensure(now + SERVER_LIFE - RENEWED_BEFORE - DAY)
    assert certificates.ensure(now + SERVER_LIFE - RENEWED_BEFORE + DAY)
    assert certificates.serial() != serial
    assert certificates.authority.read_text() == authority
    read(certificates.server).verify_directly_issued_by(read(certificates.authority))


def test_an_authority_never_ends_before_what_it_signed(certificates: Certificates) -> None:
    authority = certificates.authority.read_text()
    assert certificates.ensure(datetime.now(UTC) + AUTHORITY_LIFE - SERVER_LIFE)
    assert certificates.authority.read_text() != authority
    assert read(certificates.server).not_valid_after_utc < read(certificates.authority).not_valid_after_utc
    read(certificates.server).verify_directly_issued_by(read(certificates.authority))


def test_what_was_cut_short_is_made_again(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Certificates, "_make_server", fail)
        with pytest.raises(OSError, match="the disk is full"):
            certificates.ensure(datetime.now(UTC) + AUTHORITY_LIFE)
    assert certificates.ensure()
    read(certificates.server).verify_directly_issued_by(read(certificates.authority))


@pytest.mark.parametrize("name", ["server.pem", "server.key", "server.p12", "authority.key", "authority.pem"])
def test_what_was_removed_is_made_again(certificates: Certificates, name: str) -> None:
    (certificates.folder / name).unlink()
    assert certificates.ensure()
    assert not certificates.ensure()
    read(certificates.server).verify_directly_issued_by(read(certificates.authority))


def test_without_the_option_nothing_speaks_tls(tmp_path: Path) -> None:
    settings, home = PlatformSettings(home=tmp_path), Home(tmp_path)
    home.create()
    assert settings.certificates is None
    assert settings.http("auth").startswith("http://")
    assert access(settings, home).protocol == "SASL_PLAINTEXT"
    assert not any(
        "CERT" in name for name in ServiceProcess(settings, home, SERVICES[0]).program().environment
    )


async def test_before_the_first_start_nobody_is_trusted(certificates: Certificates, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(certificates, PlatformSettings(home=tmp_path, tls=True).trust(), "localhost")


def test_with_it_a_program_starts_again_for_another_certificate(tmp_path: Path) -> None:
    settings, home = PlatformSettings(home=tmp_path, tls=True), Home(tmp_path)
    home.create()
    certificates = settings.certificates
    assert certificates is not None
    certificates.ensure()
    assert settings.http("auth").startswith("https://")
    assert access(settings, home).environment()["KAFKA_CA_FILE"] == str(certificates.authority)
    sections = []
    for _ in range(2):
        components = [Kafka(settings, home), *(ServiceProcess(settings, home, one) for one in SERVICES)]
        programs = [component.program() for component in components]
        sections.append([program.section(tmp_path / "log") for program in programs])
        certificates.ensure(datetime.now(UTC) + SERVER_LIFE)
    assert all(before != after for before, after in zip(*sections, strict=True))
