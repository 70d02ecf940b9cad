"""A certificate of our own for a broker that others reach, made once and kept with its key.

Made by the ``openssl`` program: it is on every machine that speaks TLS and needed here only, where
a Python package for it (cryptography) brings 20 MB of compiled code into every installation. Those
who have a certificate of an authority name it instead.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forum.errors import BrokerStartError

_DAYS: Final = 825  # what TLS clients accept at most of a certificate
_OPENSSL_S = 60.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a broker proves itself by: paths of PEM files."""

    chain: Path
    """The broker's certificate and those that lead to one its clients trust."""
    key: Path


def certificate_for(
    host: str, folder: Path, named: Certificate | None
) -> tuple[Certificate | None, str | None]:
    """Return what a broker on `host` proves itself by, and what its clients verify it against.

    Args:
        host: Where it listens; on loopback alone it needs no certificate.
        folder: Where one of our own is made and found again.
        named: The user's.

    Returns:
        The certificate, None for plain text on loopback; and certificates (PEM) that clients need,
        None where an authority has signed it that their system trusts.

    Raises:
        BrokerStartError: the named certificate cannot be used, or none could be made.
    """
    if named is None and is_loopback(host):
        return None, None
    certificate = named or own_certificate(folder, hosts_of(host))
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            certificate.chain, certificate.key
        )
        text = certificate.chain.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:  # ssl.SSLError is an OSError
        raise BrokerStartError(
            f"cannot use certificate {certificate.chain} with key {certificate.key}: {error}"
        ) from None
    store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    store.load_verify_locations(cadata=text)
    has_root = any(one.get("subject") == one.get("issuer") for one in store.get_ca_certs())
    return certificate, text if has_root else None


def own_certificate(folder: Path, hosts: tuple[str, ...]) -> Certificate:
    """Return the certificate in `folder`, self-signed, for `hosts`; it is made if missing.

    Args:
        folder: Where ``broker.pem`` and ``broker.key`` lie, mode 0600.
        hosts: Names and addresses under which clients may reach the broker.

    Raises:
        BrokerStartError: openssl is missing, or failed.
    """
    made = Certificate(folder / "broker.pem", folder / "broker.key")
    if made.chain.is_file() and made.key.is_file():
        return made
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = ",".join(dict.fromkeys(f"{'IP' if _is_address(h) else 'DNS'}:{h}" for h in hosts))
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", str(_DAYS), "-subj", "/CN=research-community broker"),
        *("-addext", f"subjectAltName={names}"),
        *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
        *("-keyout", str(made.key), "-out", str(made.chain)),
    ]
    try:
        made.key.touch(mode=0o600)  # openssl keeps the mode of a file that is there
        done = subprocess.run(command, capture_output=True, timeout=_OPENSSL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokerStartError(
            f"cannot make a certificate with openssl ({error}); install it, or name a certificate "
            "of your own as tls_cert and tls_key"
        ) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BrokerStartError(f"openssl made no certificate for {names}: {said[-1:]}")
    made.chain.chmod(0o600)
    return made


def hosts_of(host: str) -> tuple[str, ...]:
    """Return under what names a listener on `host` is reached; every name of ours for 0.0.0.0."""
    local = ("localhost", "127.0.0.1", "::1")
    if not is_everywhere(host):
        return (host, *local)
    name = socket.gethostname()
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    except OSError:
        found = set()
    addresses = sorted(address for address in found if "%" not in address)
    return (name, socket.getfqdn(), *addresses, *_outward(), *local)


def reached_at(host: str) -> str:
    """Return the one of `hosts_of` to tell clients: where 0.0.0.0 is, a name others can find."""
    if not is_everywhere(host):
        return host
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return (*_outward(), "localhost")[0]
    return name


def is_everywhere(host: str) -> bool:
    """Whether listening on `host` means on all addresses of the machine."""
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified


def is_loopback(host: str) -> bool:
    """Whether `host` can only be reached from this machine."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _outward() -> tuple[str, ...]:
    """The address that packets to elsewhere leave from, which a machine's name may not tell."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address; nothing is sent
        except OSError:
            return ()
        return (str(probe.getsockname()[0]),)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
