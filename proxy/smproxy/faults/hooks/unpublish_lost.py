"""``unpublish-lost``: nobody hears that a stream has ended."""

from random import Random

from smproxy.faults.hook_fault import UNPUBLISHED, Chosen, HookFault, Told
from smproxy.faults.kind import FaultKind, Room, Values


class UnpublishLost(HookFault):
    """Loses the end."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._chosen = Chosen()

    def take(self, event: Told) -> int:
        """Lose it if it is the end."""
        if event.state not in UNPUBLISHED or not self._chosen(self.line, event):
            return 1
        self.line.acted(event, event.state)
        return 0


FAULT = FaultKind(
    name="unpublish-lost",
    room=Room.HOOKS,
    effect="`peer_leaved` and `disconnected` are never delivered.",
    publish="resolves",
    make=UnpublishLost,
    live=True,
)
