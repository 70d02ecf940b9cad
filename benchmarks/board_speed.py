"""How fast the board is: a hundred researchers talking through the clerk, beside bare MQTT.

    python benchmarks/board_speed.py [--write]

A hundred agents sit in a small world (k = 4, p = 0.1). Their posts, short comments, come at random
moments (a Poisson process over all of them) and take the whole way: seat, broker, clerk (validated,
recorded in a real ledger, acknowledged, routed along edges), broker, readers' feeds. Delivery is
the time from the author's `submit` to a reader's feed, acknowledgement that to the receipt. Clerk,
broker and agents are processes of their own, as in a run. Each rate is tried for some seconds;
afterwards what the readers got is compared with the ledger: nothing may be lost or doubled.

Beside it, on the same broker: one bare aiomqtt publisher and one subscriber, QoS 1, at the rate of
the board's deliveries, with payloads as long as the board's.

Mosquitto is measured where it is installed, with the files that `community broker config` writes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from board_parts import AGENTS, RUN_ID

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PARTS = Path(__file__).parent / "board_parts.py"
RESULTS = Path(__file__).parent / "results" / "board_speed.md"
SECONDS = 10.0
GOAL_MS = 100.0
RATES = {"embedded": (50, 100, 150, 200, 250, 300, 400), "mosquitto": (200, 400, 500, 600, 800)}
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


# --- the parent --------------------------------------------------------------------------------


@dataclass
class Line:
    """What one rate came to."""

    broker: str
    rate: float
    posts_s: float
    deliveries_s: float
    delivery_ms: tuple[float, float]
    ack_ms: tuple[float, float]
    cpu_ms: tuple[float, float, float]
    """CPU milliseconds per post of broker, clerk and agents."""
    is_whole: bool
    bare_ms: tuple[float, float]


async def measure(broker: str, where: dict[str, Any], rate: float, seconds: float) -> Line:
    """Try one rate on the board, then bare MQTT at the same rate of deliveries."""
    with tempfile.TemporaryDirectory() as folder:
        orders = {**where, "rate": rate, "seconds": seconds, "folder": folder}
        clerk = await child("clerk", orders)
        await answer(clerk)
        agents = await child("agents", orders)
        before = broker_cpu_s(where["pid"])
        told = await answer(agents)
        broker_s = broker_cpu_s(where["pid"]) - before
        await agents.wait()
        record = await ended(clerk)
    took = [late for posts in told["heard"].values() for _, late in posts if late == late]
    got = {name: sorted(seq for seq, _ in posts) for name, posts in told["heard"].items() if posts}
    is_whole = got == record["delivered"] and not told["unanswered"]
    deliveries_s = len(took) / seconds
    bare = await measure_bare({**orders, "rate": deliveries_s, "bytes": 450})
    return Line(
        broker,
        rate,
        told["sent"] / seconds,
        deliveries_s,
        percentiles(took),
        percentiles(told["acks"]),
        tuple(1e3 * used / told["sent"] for used in (broker_s, record["cpu_s"], told["cpu_s"])),
        is_whole,
        percentiles(bare),
    )


def broker_cpu_s(pid: int) -> float:
    """Return the processor time that the broker has used."""
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


async def measure_bare(orders: dict[str, Any]) -> list[float]:
    """Return how late each message of a bare publisher came."""
    subscriber = await child("subscriber", orders)
    await answer(subscriber)
    publisher = await child("publisher", orders)
    await answer(publisher)
    await publisher.wait()
    await asyncio.sleep(1.0)
    return list((await ended(subscriber))["took"])


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """Return median and 99th percentile in milliseconds."""
    if not seconds:
        return float("nan"), float("nan")
    low, high = np.percentile(np.array(seconds) * 1e3, [50, 99])
    return float(low), float(high)


async def child(part: str, orders: dict[str, Any]) -> asyncio.subprocess.Process:
    """Start one of the processes and hand it its orders."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PARTS), part),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**28,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(orders).encode() + b"\n")
    await process.stdin.drain()
    return process


async def answer(process: asyncio.subprocess.Process) -> Any:
    """Return the next thing it says."""
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 120)
    if not line:
        raise SystemExit("a process of the benchmark ended early")
    return json.loads(line)


async def ended(process: asyncio.subprocess.Process) -> Any:
    """Tell it to end; returns its last words."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    last = await answer(process)
    await process.wait()
    return last


@asynccontextmanager
async def embedded() -> AsyncIterator[dict[str, Any]]:
    """Run the embedded broker."""
    from forum.broker import EmbeddedBroker

    async with await EmbeddedBroker.start(RUN_ID, AGENTS) as broker:
        logins = broker.credentials.logins
        yield {
            "pid": broker.pid,
            "port": broker.port,
            "logins": {name: (login.user, login.password) for name, login in logins.items()},
        }


@asynccontextmanager
async def mosquitto() -> AsyncIterator[dict[str, Any]]:
    """Run a real Mosquitto on a free port."""
    from forum.credentials import BrokerAddress, load_credentials
    from forum.mosquitto_files import CREDENTIALS_NAME, MosquittoPlan, write_mosquitto

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        plan = MosquittoPlan(RUN_ID, AGENTS, BrokerAddress("127.0.0.1", port))
        config = write_mosquitto(Path(folder), plan)
        held = load_credentials(Path(folder) / CREDENTIALS_NAME)
        process = await asyncio.create_subprocess_exec(
            *(MOSQUITTO, "-c", str(config)), stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await asyncio.sleep(1.0)
            logins = {user: (user, one.password) for user, one in held.items()}
            yield {"pid": process.pid, "port": port, "logins": logins}
        finally:
            process.terminate()
            await process.wait()


def table(lines: list[Line]) -> str:
    """Return the lines as a table, and the highest rate of each broker that keeps the goal."""
    head = (
        "| broker | posts/s asked | posts/s | deliveries/s | delivery p50 / p99 ms "
        "| receipt p50 / p99 ms | bare MQTT p50 / p99 ms "
        "| CPU ms per post: broker / clerk / agents | nothing lost or doubled |"
    )
    rows = [
        f"| {x.broker} | {x.rate:.0f} | {x.posts_s:.0f} | {x.deliveries_s:.0f} "
        f"| {_ms(x.delivery_ms)} | {_ms(x.ack_ms)} | {_ms(x.bare_ms)} | {_ms(x.cpu_ms)} "
        f"| {'yes' if x.is_whole else 'NO'} |"
        for x in lines
    ]
    best = []
    for broker in dict.fromkeys(x.broker for x in lines):
        kept = [x.rate for x in lines if x.broker == broker and x.delivery_ms[1] < GOAL_MS]
        best.append(
            f"Highest rate tried that keeps p99 below {GOAL_MS:.0f} ms on {broker}: "
            f"{max(kept, default=0):.0f} posts/s."
        )
    return "\n".join([head, "|" + "---|" * 9, *rows, "", *best]) + "\n"


def _ms(numbers: tuple[float, ...]) -> str:
    return " / ".join(f"{number:.1f}" for number in numbers)


async def main() -> None:
    """Measure every rate on every broker that is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each rate")
    parser.add_argument("--broker", choices=[*RATES], help="only this one")
    parser.add_argument("--rate", type=float, help="only this one, posts/s")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    lines = []
    for broker, start in (("embedded", embedded), ("mosquitto", mosquitto)):
        if given.broker not in (None, broker) or (
            broker == "mosquitto" and not Path(MOSQUITTO).exists()
        ):
            continue
        async with start() as where:
            for rate in (given.rate,) if given.rate else RATES[broker]:
                lines.append(await measure(broker, where, rate, given.seconds))
                print(table(lines[-1:]).splitlines()[2], flush=True)
    text = table(lines)
    print("\n" + text)
    if given.write:
        RESULTS.write_text(f"# How fast the board is\n\n{text}")


if __name__ == "__main__":
    asyncio.run(main())
