"""A Dask scheduler that somebody else started: is it there, does it speak TLS, does it let us in?"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from distributed import Client
from distributed.security import Security

from geounet.errors import ClusterError
from geounet.run.cluster_config import TlsFiles

_KNOCK = 3.0  # seconds that a scheduler may take to accept a connection, and to say its first word
_CERTIFICATES = (
    "give cluster: {tls: {ca: …, cert: …, key: …}} in --config, or Dask's own configuration (distributed.comm.tls)"
)


def security_of(tls: TlsFiles | None) -> Security:
    """Certificates for every role: the files given, else those of Dask's own configuration.

    Raises ClusterError where a file cannot be read.
    """
    if tls is None:
        return Security()
    for name, path in tls:
        _check_readable(f"cluster.tls.{name}", path)
    roles = {f"tls_{role}_{kind}": str(getattr(tls, kind)) for role in _ROLES for kind in ("cert", "key")}
    security = Security(require_encryption=True, tls_ca_file=str(tls.ca), **roles)
    _context(security, "cluster.tls")
    return security


_ROLES = ("client", "scheduler", "worker")


def _check_readable(name: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise ClusterError(f"{name} {path}: {error.strerror}") from error


def _context(security: Security, name: str) -> ssl.SSLContext | None:
    """What a client of ours shows and trusts; None where there are no certificates."""
    try:
        context: ssl.SSLContext | None = security.get_connection_args("client")["ssl_context"]
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise ClusterError(f"{name}: the certificates cannot be used: {_reason(error)}") from error
    return context


@contextmanager
def external(address: str, tls: TlsFiles | None) -> Iterator[Client]:
    """A client of the scheduler at ``address``. ClusterError, in one line, where there is none for us."""
    security = security_of(tls)
    _knock(address, security)
    try:
        client = Client(address, set_as_default=False, security=security)
    except (OSError, ValueError, TypeError) as error:
        raise _silent(address, error) from error
    try:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise ClusterError(f"--scheduler {address} has no workers; start some with: dask worker {address}")
        yield client
    finally:
        client.close()


def _knock(address: str, security: Security) -> None:
    """ClusterError where nobody listens there, or somebody who speaks otherwise; Dask would try again, for long.

    A Dask scheduler speaks first; one with TLS waits for the client's greeting.
    """
    try:
        place = urlsplit(address)
        host, port = place.hostname, place.port
    except ValueError as error:  # a port that is no number
        raise _silent(address, error) from error
    if place.scheme not in ("tcp", "tls") or host is None or port is None:
        raise _silent(address, ValueError("that is no address"))
    if place.scheme == "tls":
        _knock_with_tls(address, (host, port), security)
    else:
        _knock_plainly(address, (host, port))


def _connected(address: str, place: tuple[str, int]) -> socket.socket:
    try:
        return socket.create_connection(place, timeout=_KNOCK)
    except OSError as error:
        raise _silent(address, error) from error


def _knock_plainly(address: str, place: tuple[str, int]) -> None:
    with _connected(address, place) as plain:
        try:
            plain.recv(1)
            return
        except OSError:  # it keeps silent, or has hung up
            pass
    if _speaks_tls(place):
        raise ClusterError(
            f"--scheduler {address} speaks TLS; expected tls://{place[0]}:{place[1]}, and certificates: "
            f"{_CERTIFICATES}"
        )


def _speaks_tls(place: tuple[str, int]) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = (
        False,
        ssl.CERT_NONE,
    )  # nothing is sent, it is only asked who is there
    try:
        with socket.create_connection(place, timeout=_KNOCK) as plain, context.wrap_socket(plain):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


def _knock_with_tls(address: str, place: tuple[str, int], security: Security) -> None:
    context = _context(security, f"--scheduler {address}")
    if context is None:
        raise ClusterError(f"--scheduler {address} needs certificates; {_CERTIFICATES}")
    plain = _connected(address, place)
    try:
        with plain, context.wrap_socket(plain, server_hostname=place[0]) as secured:
            secured.recv(1)  # of TLS 1.3 it is only known now whether our certificate was taken
    except ssl.SSLCertVerificationError as error:
        raise ClusterError(
            f"--scheduler {address} shows a certificate that cluster.tls.ca does not vouch for ({_reason(error)})"
        ) from error
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or ""):
            raise ClusterError(
                f"--scheduler {address} refuses our certificate ({_reason(error)}); expected one from its own CA"
            ) from error
        raise ClusterError(
            f"--scheduler {address} does not speak TLS ({_reason(error)}); expected tcp://{place[0]}:{place[1]}, "
            "or a scheduler started with --tls-ca-file, --tls-cert and --tls-key"
        ) from error
    except OSError as error:
        raise _silent(address, error) from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or str(error)
    return str(reason).lower().replace("_", " ") if isinstance(error, ssl.SSLError) else str(reason)


def _silent(address: str, error: Exception) -> ClusterError:
    return ClusterError(
        f"--scheduler {address} does not answer ({error}); expected tcp://host:port or tls://host:port of a "
        "running dask scheduler"
    )
