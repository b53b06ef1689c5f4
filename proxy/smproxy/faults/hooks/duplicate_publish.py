"""``duplicate-publish``: a stream begins more than once."""

from random import Random

from smproxy.faults.hook_fault import PUBLISHED, HookFault, Told
from smproxy.faults.kind import FaultKind, Parameter, Room, Values


class DuplicatePublish(HookFault):
    """Repeats the beginning."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._times = values["times"]

    def take(self, event: Told) -> int:
        """Deliver it several times if it is the beginning."""
        if event.state != PUBLISHED or not self.line.draw():
            return 1
        self.line.acted(event)
        return int(self._times)


FAULT = FaultKind(
    name="duplicate-publish",
    room=Room.HOOKS,
    effect="`peer_joined` is delivered several times in a row, with the same `uuid`.",
    publish="resolves",
    parameters=(Parameter("times", 2, "how often it comes", 2, 10),),
    make=DuplicatePublish,
    live=True,
)
