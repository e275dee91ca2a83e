"""Certificates made for one test run: an authority, leaves that are right, and leaves that lie."""

import datetime
import functools
import ipaddress
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOCAL_NAMES = ("localhost", "127.0.0.1")
_DAY = datetime.timedelta(days=1)
_MAKING = threading.RLock()

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """A certificate with its key as PEM files, and the authority that vouches for it."""

    certificate: Path
    key: Path
    ca_pem: str


class Authority:
    """Signs what a run needs. Keys live in `folder` and in memory only."""

    def __init__(self, folder: Path, name: str = "Wavemend test authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        usage = _usage(signs_certificates=True)
        self._certificate = (
            self._builder(self._name, self._key.public_key(), now - _DAY, now + 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def leaf(
        self, *names: str, begins_in_days: float = -1, ends_in_days: float = 7, client: bool = False
    ) -> TlsFiles:
        """A certificate for these DNS names and addresses, or for the user of a client."""
        names = names or LOCAL_NAMES
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        signed = (
            self._builder(
                subject, key.public_key(), now + begins_in_days * _DAY, now + ends_in_days * _DAY
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([_general(n) for n in names]), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        stem = self._folder / f"{signed.serial_number:x}"
        certificate, private = stem.with_suffix(".pem"), stem.with_suffix(".key")
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        private.touch(mode=0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return TlsFiles(certificate=certificate, key=private, ca_pem=self.pem)

    def expired(self, *names: str) -> TlsFiles:
        return self.leaf(*names, begins_in_days=-9, ends_in_days=-1)

    def wrong_name(self) -> TlsFiles:
        return self.leaf("somebody-else.example")

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        begins: datetime.datetime,
        ends: datetime.datetime,
    ) -> x509.CertificateBuilder:
        own = self._key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
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


def _once(make: Callable[[], T]) -> Callable[[], T]:
    """Return what makes it once, also for threads that ask for it at the same time.

    `functools.cache` alone lets each of them make one, and a folder that nobody keeps is removed
    under the one who writes to it.
    """
    cached = functools.cache(make)

    def made() -> T:
        with _MAKING:
            return cached()

    return made


@_once
def _folder() -> "tempfile.TemporaryDirectory[str]":
    """Of this process, gone with it."""
    return tempfile.TemporaryDirectory(prefix="winrm-peer-")


@_once
def run_authority() -> Authority:
    """The one authority of this process."""
    return Authority(Path(_folder().name))


def other_authority() -> Authority:
    """One that nobody was told to trust."""
    return Authority(Path(_folder().name), "Somebody else's authority")


@_once
def run_tls() -> TlsFiles:
    """The leaf for localhost and 127.0.0.1 that every peer of this process may use."""
    return run_authority().leaf()
