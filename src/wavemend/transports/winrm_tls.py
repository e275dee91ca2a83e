"""TLS to a Windows host: always verified, against the login's authorities if it names any."""

import socket
import ssl
import tempfile
from functools import lru_cache

from wavemend.errors import HostKeyRefused, HostSilent, LoginRefused, TransportError
from wavemend.transport import Login
from wavemend.transports.bounds import Budget
from wavemend.transports.output import readable
from wavemend.transports.sockets import Place

_NAME = "write the host's `address` as a name that is in its certificate"
_WAYS_OUT = {
    10: "renew the certificate of the host's WinRM listener; check the clock of this machine, too",
    18: "it is signed by itself: put this certificate into the login's `ca`, or give the host one",
    62: _NAME,
    64: _NAME,
}
"""By OpenSSL's code for what is wrong: expired, self-signed, another name, another address."""
_WAY_OUT = "put the authority that signed it into the login's `ca` as PEM text"


def tls_of(login: Login) -> ssl.SSLContext:
    """Return how a login's hosts are verified. LoginRefused where its files cannot be used."""
    return _context(login.name, login.ca, login.certificate, login.certificate_key)


@lru_cache(maxsize=64)
def _context(name: str, ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """Loading the authorities of this machine takes longer than a login: once per process."""
    try:
        context = ssl.create_default_context(cadata=ca or None)
    except (ssl.SSLError, ValueError) as error:
        raise LoginRefused(
            f"login {name!r}: its `ca` holds no certificate that can be read",
            hint="it must be PEM text, with -----BEGIN CERTIFICATE-----",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate:
        # Windows asks for a client's certificate after the handshake, and no client is known to
        # get through that with TLS 1.3 (ansible issue 77768, pywinrm issue 376).
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        _load_certificate(context, name, certificate, key)
    return context


def _load_certificate(context: ssl.SSLContext, name: str, certificate: str, key: str) -> None:
    """The library reads files only: a private one, gone again before anything is sent."""
    with tempfile.NamedTemporaryFile("w", prefix="wavemend-", suffix=".pem") as file:
        file.write(f"{certificate.strip()}\n{key.strip()}\n")
        file.flush()
        try:
            context.load_cert_chain(file.name, password="")  # or it asks on the terminal
        except (ssl.SSLError, OSError, ValueError):
            # The library's words are kept out: they may name what is in the file.
            raise LoginRefused(
                f"login {name!r}: its certificate and certificate_key cannot be used together",
                hint="both must be PEM text, the key without a passphrase and the certificate's",
            ) from None


def wrap(
    sock: socket.socket, context: ssl.SSLContext, place: Place, budget: Budget
) -> ssl.SSLSocket:
    """Verify the host and return the encrypted socket; nothing of the login has been sent then.

    Raises HostKeyRefused, or HostSilent where the host breaks off or does not answer.
    """
    try:
        sock.settimeout(max(0.001, budget.left()))
        return context.wrap_socket(sock, server_hostname=place.address)
    except (OSError, ValueError) as error:
        sock.close()
        raise _fault(place, error, budget) from error


def _fault(place: Place, error: OSError | ValueError, budget: Budget) -> TransportError:
    match error:
        case ssl.SSLCertVerificationError():
            words = readable(error.verify_message)
            return HostKeyRefused(
                f"{place}: the host's certificate is refused: {words}; no credential was sent",
                hint=_WAYS_OUT.get(error.verify_code, _WAY_OUT),
            )
        case TimeoutError():
            return HostSilent(
                f"{place}: accepts connections and stops in the TLS handshake"
                f" (waited {budget.seconds:.3g} s)",
                hint="an overloaded or frozen host, or something else on this port",
            )
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ConnectionError():
            return HostSilent(
                f"{place}: breaks off in the TLS handshake",
                hint="has the HTTPS listener one? (winrm enumerate winrm/config/listener)",
            )
        case _:
            words = readable(str(error.args[-1] if error.args else error))
            return HostKeyRefused(
                f"{place}: no TLS connection: {words}; no credential was sent",
                hint="is this port the HTTPS listener of WinRM, with TLS 1.2 or newer?",
            )
