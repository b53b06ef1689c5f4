"""``stale-keepalive``: a session that is over seems to live."""

from collections import OrderedDict
from functools import partial
from random import Random

from smproxy.faults.hook_fault import MAX_KEPT, HookFault, Told
from smproxy.faults.kind import FaultKind, Parameter, Room, Values

_OVER = "disconnected"
_ALIVE = ("connected", "reconnected")


class StaleKeepalive(HookFault):
    """Delivers a sign of life again, after the end."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._after = values["after"]
        self._alive: OrderedDict[int, Told] = OrderedDict()

    def take(self, event: Told) -> int:
        """Remember the latest sign of life; repeat it when the session is over."""
        if event.state in _ALIVE:
            self._alive[event.session] = event
            while len(self._alive) > MAX_KEPT:
                self._alive.popitem(last=False)
        elif event.state == _OVER and (alive := self._alive.pop(event.session, None)) and self.line.draw():
            self.line.acted(event, alive.state)
            self.line.later(self._after, partial(self.line.deliver, (alive,)))
        return 1


FAULT = FaultKind(
    name="stale-keepalive",
    room=Room.HOOKS,
    effect="After `disconnected` the session's latest `connected` or `reconnected` is delivered again, with its old "
    "`uuid`.",
    publish="resolves",
    parameters=(Parameter("after", 0.2, "seconds after the end"),),
    make=StaleKeepalive,
    live=True,
)
