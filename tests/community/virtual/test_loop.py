"""The loop with virtual time: order, jumps, what it refuses, and who waits for ever."""

import asyncio
import itertools
import signal
import subprocess
import sys
import threading

import pytest

from community.errors import VirtualWorldError, WaitsForEverError
from community.virtual.loop import VirtualLoop


def run(coroutine):
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


def test_time_jumps_to_the_next_timer_and_is_told_to_the_microsecond():
    """An hour is a jump, and no microsecond is lost on the way."""

    async def main():
        loop = asyncio.get_running_loop()
        times = []
        for seconds in (3600.0, 0.000001, 1e8, 0.1):
            await asyncio.sleep(seconds)
            times.append(loop.now_us)
        return times

    assert run(main()) == [
        3_600_000_000,
        3_600_000_001,
        100_003_600_000_001,
        100_003_600_100_001,
    ]


def test_what_is_due_at_one_instant_runs_in_the_order_in_which_it_was_asked_for():
    """Timers of one instant are first come, first served."""

    async def main():
        loop, seen = asyncio.get_running_loop(), []
        for name in range(50):
            loop.call_later(0.5, seen.append, name)
        loop.call_later(0.2, loop.call_later, 0.3, seen.append, "later asked, same time")
        await asyncio.sleep(0.5)
        await asyncio.sleep(0.1)
        return seen

    assert run(main()) == [*range(50), "later asked, same time"]


def test_a_timer_waits_until_all_that_follows_from_the_instant_is_done():
    """Time stands until nothing is ready."""

    async def main():
        loop, seen = asyncio.get_running_loop(), []

        def chain(left):
            seen.append(left)
            if left:
                loop.call_soon(chain, left - 1)

        loop.call_later(1.0, chain, 3)
        loop.call_later(1.0, loop.call_later, 0.0, seen.append, "timer of the same instant")
        await asyncio.sleep(2.0)
        return seen

    assert run(main()) == [3, 2, 1, 0, "timer of the same instant"]


def test_cancelled_timers_move_no_clock_and_are_forgotten():
    """A timeout that was not needed leaves nothing."""

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(10_000):
            async with asyncio.timeout(1e6):
                await asyncio.sleep(0)
        kept = len(loop._timers)
        await asyncio.sleep(1.0)
        return loop.now_us, kept

    now_us, kept = run(main())
    assert now_us == 1_000_000
    assert kept < 1_000


def test_a_timeout_ends_what_would_wait_for_ever():
    """The clock jumps to the timeout."""

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7.5):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(main()) == 7.5


def test_waiting_for_ever_names_who_waits_and_where():
    """A hang is an error that says who and where."""

    async def patient():
        await asyncio.Event().wait()

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(patient(), name="clerk of the tests")
            await asyncio.sleep(3.0)

    with pytest.raises(WaitsForEverError) as raised:
        run(main())
    (waiting,) = [each for each in raised.value.waiting if each.startswith("clerk of the tests")]
    assert "patient at tests/community/virtual/test_loop.py" in waiting
    assert "at 3 s" in str(raised.value)


def test_tasks_in_a_set_are_walked_in_an_order_that_no_address_decides():
    """A task group cancels in the same order in every process."""

    async def main():
        seen = []

        async def wait(name):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append(name)
                raise

        async def fail():
            async with asyncio.TaskGroup() as group:
                for name in range(40):
                    group.create_task(wait(name))
                await asyncio.sleep(0)
                raise ValueError

        with pytest.raises(ExceptionGroup):
            await fail()
        return seen

    assert run(main()) == run(main()) == sorted(range(40))


@pytest.mark.parametrize(
    "asked",
    [
        lambda: asyncio.to_thread(print),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.create_subprocess_shell("true"),
        lambda: asyncio.open_connection("127.0.0.1", 1),
        lambda: asyncio.start_server(lambda *_: None, "127.0.0.1", 0),
        lambda: asyncio.get_running_loop().getaddrinfo("localhost", 1),
    ],
)
def test_threads_children_and_sockets_are_refused_in_words(asked):
    """What has no virtual time is refused."""

    async def main():
        await asked()

    with pytest.raises(VirtualWorldError, match="in virtual time"):
        run(main())


def test_another_thread_may_not_call_back():
    """There is one thread."""

    async def main():
        loop, found = asyncio.get_running_loop(), []

        def call():
            try:
                loop.call_soon_threadsafe(print)
            except VirtualWorldError as error:
                found.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        return found

    assert len(run(main())) == 1


def test_time_that_stands_still_is_an_error_and_no_hang(monkeypatch):
    """A loop that takes no time is found."""
    monkeypatch.setattr("community.virtual.loop.MOST_AT_ONCE", 10_000)

    async def main():
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(VirtualWorldError, match="time stands still"):
        run(main())


def test_signals_are_heard_between_callbacks():
    """A signal's handler runs as one more callback."""

    async def main():
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, heard.set)
        loop.call_later(5.0, signal.raise_signal, signal.SIGUSR1)
        async with asyncio.timeout(10.0):
            await heard.wait()
        assert loop.remove_signal_handler(signal.SIGUSR1)
        return loop.time()

    assert run(main()) == 5.0
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_ctrl_c_ends_it_as_it_ends_any_loop():
    """KeyboardInterrupt passes through, and everybody may clean up."""
    script = (
        "import asyncio, signal\n"
        "from community.virtual.loop import VirtualLoop\n"
        "async def main():\n"
        "    asyncio.get_running_loop().call_later(9.0, signal.raise_signal, signal.SIGINT)\n"
        "    try:\n"
        "        while True: await asyncio.sleep(1.0)\n"
        "    finally: print('left at', asyncio.get_running_loop().time())\n"
        "with asyncio.Runner(loop_factory=VirtualLoop) as runner: runner.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "left at 9.0" in done.stdout
    assert "KeyboardInterrupt" in done.stderr
