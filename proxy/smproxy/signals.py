"""The signals that end a process in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return those of Ctrl-C, ``kill`` and a closed terminal, the last unless it is ignored.

    ``nohup`` has it ignored, and Windows has none.
    """
    signals = [signal.SIGINT, signal.SIGTERM]
    closed: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if closed is not None and signal.getsignal(closed) is not signal.SIG_IGN:
        signals.append(closed)
    return tuple(signals)


def on_ending_signals(
    loop: asyncio.AbstractEventLoop, callback: Callable[[signal.Signals], None]
) -> Callable[[], None]:
    """Have the loop call back with each such signal; return what ends that."""
    numbers = ending_signals()
    try:
        for number in numbers:
            loop.add_signal_handler(number, callback, number)
    except NotImplementedError:  # an event loop of Windows
        before = {number: signal.getsignal(number) for number in numbers}
        for number in numbers:
            signal.signal(number, lambda got, _: loop.call_soon_threadsafe(callback, signal.Signals(got)) and None)

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        return restore

    def remove() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    return remove
