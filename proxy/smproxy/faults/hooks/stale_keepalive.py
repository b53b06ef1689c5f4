"""``stale-keepalive``: a session that is over seems to live."""

from collections import OrderedDict
from functools import partial
from random import Random

from smproxy.faults.hook_fault import MAX_KEPT, HookEventView, HookFault
from smproxy.faults.parameter import Parameter, Values

_OVER = "disconnected"
_ALIVE = ("connected", "reconnected")


class StaleKeepalive(HookFault):
    """Deliver a keep-alive again, after the end."""

    name = "stale-keepalive"
    effect = "After `disconnected` the session's latest `connected` or `reconnected` is delivered again, with its old `uuid`."
    publish = "resolves"

    after = Parameter(0.2, "seconds after the end")

    def __init__(self, values: Values, rng: Random) -> None:
        super().__init__(values, rng)
        self._alive: OrderedDict[int, HookEventView] = OrderedDict()

    def take(self, event: HookEventView) -> int:
        """Keep the latest keep-alive; repeat it when the session is over."""
        if event.state in _ALIVE:
            self._alive[event.session] = event
            while len(self._alive) > MAX_KEPT:
                self._alive.popitem(last=False)
        elif event.state == _OVER and (alive := self._alive.pop(event.session, None)) and self.delivery.draw():
            self.delivery.acted(event, alive.state)
            self.delivery.later(self.after, partial(self.delivery.deliver, (alive,)))
        return 1
