"""``unpublish-lost``: the hook for the end of a stream is lost."""

from random import Random

from smproxy.faults.hook_fault import UNPUBLISHED, HookEventView, HookFault, SessionChoice
from smproxy.faults.parameter import Values


class UnpublishLost(HookFault):
    """Lose the end."""

    name = "unpublish-lost"
    effect = "`peer_leaved` and `disconnected` are never delivered."
    publish = "resolves"

    def __init__(self, values: Values, rng: Random) -> None:
        super().__init__(values, rng)
        self._chosen = SessionChoice()

    def take(self, event: HookEventView) -> int:
        """Lose it if it is the end."""
        if event.state not in UNPUBLISHED or not self._chosen(self.delivery, event):
            return 1
        self.delivery.acted(event, event.state)
        return 0
