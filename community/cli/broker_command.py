"""``community broker config``: files for a Mosquitto that keeps a run's walls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ABOUT = """
A broker of your own.

The embedded broker needs nothing of this. For a Mosquitto of yours, which carries more and others
can reach, this writes its configuration, a password for each participant and an access list.

\b
  community broker config overnight --out ~/broker
  mosquitto -c ~/broker/mosquitto.conf

and in the scenario:

\b
  [board]
  broker = "mqtt://127.0.0.1:1883"
  credentials = "~/broker"
  log = "~/broker/mosquitto.log"
"""

_Which = Annotated[
    str,
    typer.Argument(
        metavar="RUN_OR_SCENARIO", help="A run's folder, or a scenario: whose participants get in."
    ),
]
_Out = Annotated[
    Path, typer.Option(help="Folder to write: new, empty, or written by an earlier call.")
]
_Host = Annotated[str, typer.Option(help="Where Mosquitto listens; off loopback with TLS only.")]
_Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="1883, or 8883 with TLS, if not given.")
]
_Observers = Annotated[int, typer.Option(min=1, max=99, help="How many may watch at once.")]
_Cert = Annotated[
    Path | None,
    typer.Option(
        help="Its certificate (PEM); without one, off loopback, a self-signed one is made."
    ),
]
_Key = Annotated[Path | None, typer.Option(help="The certificate's key (PEM).")]


def config(
    which: _Which,
    out: _Out,
    host: _Host = "127.0.0.1",
    port: _Port = None,
    observers: _Observers = 4,
    tls_cert: _Cert = None,
    tls_key: _Key = None,
) -> None:
    """Write mosquitto.conf, passwords, rights and credentials into a folder.

    The folder is closed to others; README.md in it says how to go on.
    """
    from community.mosquitto import participants_of
    from forum.certificates import Certificate, certificate_for
    from forum.credentials import BrokerAddress
    from forum.mosquitto_files import MosquittoPlan, take_folder, write_mosquitto

    run, participants = participants_of(which)
    named = None
    if tls_cert is not None and tls_key is not None:
        named = Certificate(tls_cert.absolute(), tls_key.absolute())
    elif tls_cert is not None or tls_key is not None:
        raise typer.BadParameter("give --tls-cert and --tls-key, or neither")
    out = take_folder(out)
    certificate, ca = certificate_for(host, out / "tls", named)
    is_tls = certificate is not None
    address = BrokerAddress(host, port or (8883 if is_tls else 1883), is_tls=is_tls)
    plan = MosquittoPlan(run, participants, address, observers, certificate, ca)
    path = write_mosquitto(out, plan)
    typer.echo(f"{path}: written, with logins for {', '.join(plan.users())}")
    typer.echo(f"start it:  mosquitto -c {path}")
    typer.echo(f"then, in the scenario:  see {path.parent / 'README.md'}")
