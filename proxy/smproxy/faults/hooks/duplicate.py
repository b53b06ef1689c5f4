"""``hook-duplicate``: hooks come more than once."""

from random import Random

from smproxy.faults.hook_fault import HookFault, Told, event_parameter, is_meant
from smproxy.faults.kind import FaultKind, Parameter, Room, Values


class Duplicate(HookFault):
    """Repeats events."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._wanted, self._times = values["event"], values["times"]

    def take(self, event: Told) -> int:
        """Deliver it several times."""
        if not is_meant(event, self._wanted) or not self.line.draw():
            return 1
        self.line.acted(event, event.state)
        return int(self._times)


FAULT = FaultKind(
    name="hook-duplicate",
    room=Room.HOOKS,
    effect="An event is delivered several times in a row, with the same `uuid`.",
    publish="resolves",
    parameters=(Parameter("times", 2, "how often it comes", 2, 10), event_parameter()),
    make=Duplicate,
    live=True,
)
