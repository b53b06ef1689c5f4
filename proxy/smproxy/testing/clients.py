"""Publishers and subscribers of one server, made by name and closed together."""

from __future__ import annotations

import inspect
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from smproxy.testing.loop_thread import LoopThread
from smproxy.testing.remote import Remote

if TYPE_CHECKING:
    from smproxy.testing.publisher import Publisher
    from smproxy.testing.subscriber import Subscriber

#: The customer scope of those that name none.
SCOPE: Final = "test"
#: Parameters of the connection that may be given by name; others go in ``params``.
_PARAMS: Final = ("app", "customerScope", "host", "meta", "password", "recording", "username")


def make_publisher(url: str, stream: str, options: Mapping[str, Any]) -> Publisher:
    """Make a :class:`smproxy.testing.Publisher` of the stream.

    ``options`` are its own, and connection parameters by name: ``recording=True``, ``meta={"room": "A"}``.

    Raises:
        TypeError: There is no such option.
    """
    from smproxy.testing.publisher import Publisher

    own, params = _split("publisher", options, inspect.signature(Publisher).parameters)
    return Publisher(url, stream=stream, params=params, **own)


def make_subscriber(url: str, stream: str, options: Mapping[str, Any]) -> Subscriber:
    """Make a :class:`smproxy.testing.Subscriber` of the stream; see :func:`make_publisher`."""
    from smproxy.testing.subscriber import Subscriber

    own, params = _split("subscriber", options, inspect.signature(Subscriber).parameters)
    return Subscriber(url, stream=stream, params=params, **own)


class Clients:
    """Makes publishers and subscribers on a thread, for tests of one kind.

    ``facade`` is ``Blocking`` or ``Awaiting``.
    """

    def __init__(self, url: str, thread: LoopThread, facade: Callable[[Any, LoopThread], Remote]) -> None:
        self._url = url
        self._thread = thread
        self._facade = facade
        self._number = itertools.count(1)
        self._made: list[Publisher | Subscriber] = []

    def publisher(self, stream: str | None = None, **options: Any) -> Any:
        """Make a publisher; ``with`` or ``async with`` publishes.

        Without a name, the stream gets one of its own.

        Raises:
            TypeError: There is no such option.
        """
        __tracebackhide__ = True
        return self._make(make_publisher, stream or f"stream-{next(self._number)}", options)

    def subscriber(self, stream: str, **options: Any) -> Any:
        """Make a subscriber of a stream; ``with`` or ``async with`` subscribes.

        Raises like :meth:`publisher`.
        """
        __tracebackhide__ = True
        return self._make(make_subscriber, stream, options)

    def close(self) -> None:
        """Close what is still open, without ending the streams first."""
        for made in reversed(self._made):
            self._thread.run(made.close())
        self._made.clear()

    def _make(self, make: Any, stream: str, options: Mapping[str, Any]) -> Remote:
        __tracebackhide__ = True
        try:
            # On the loop, because that is where its parts belong.
            made = self._thread.call(lambda: make(self._url, stream, options))
        except (TypeError, ValueError) as error:
            raise error.with_traceback(None) from error.__cause__
        self._made.append(made)
        return self._facade(made, self._thread)


def _split(what: str, options: Mapping[str, Any], known: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Separate the options of a client from its connection parameters."""
    mine = sorted(set(known) - {"url", "stream", "params"})
    params: dict[str, Any] = {"customerScope": SCOPE}
    own: dict[str, Any] = {}
    for name, value in options.items():
        name = "customerScope" if name == "customer_scope" else name
        if name == "params":
            params.update(value)
        elif name in mine:
            own[name] = value
        elif name in _PARAMS:
            params[name] = value if isinstance(value, str | int | float | None) else json.dumps(value)
        else:
            there = ", ".join([*mine, *_PARAMS])
            raise TypeError(
                f"a {what} has no option {name!r}: there are {there}, and params={{…}} for other parameters"
            )
    return own, params
