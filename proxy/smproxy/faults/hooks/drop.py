"""``hook-drop``: hooks are lost."""

from random import Random

from smproxy.faults.hook_fault import HookFault, Told, event_parameter, is_meant
from smproxy.faults.kind import FaultKind, Room, Values


class Drop(HookFault):
    """Loses events."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._wanted = values["event"]

    def take(self, event: Told) -> int:
        """Lose it."""
        if not is_meant(event, self._wanted) or not self.line.draw():
            return 1
        self.line.acted(event, event.state)
        return 0


FAULT = FaultKind(
    name="hook-drop",
    room=Room.HOOKS,
    effect="An event is never delivered; the journal has it, as skipped.",
    publish="resolves",
    parameters=(event_parameter(),),
    make=Drop,
    live=True,
)
