"""``unpublish-without-publish``: a stream ends that nobody heard of."""

from random import Random

from smproxy.faults.hook_fault import PUBLISHED, HookFault, Told
from smproxy.faults.kind import FaultKind, Room, Values


class UnpublishWithoutPublish(HookFault):
    """Loses the beginning."""

    def __init__(self, values: Values, rng: Random) -> None:
        pass

    def take(self, event: Told) -> int:
        """Lose it if it is the beginning."""
        if event.state != PUBLISHED or not self.line.draw():
            return 1
        self.line.acted(event)
        return 0


FAULT = FaultKind(
    name="unpublish-without-publish",
    room=Room.HOOKS,
    effect="`peer_joined` is never delivered; the end of the stream is.",
    publish="resolves",
    make=UnpublishWithoutPublish,
    live=True,
)
