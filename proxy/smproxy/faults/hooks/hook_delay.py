"""``hook-delay``: hooks come late."""

from functools import partial
from random import Random

from smproxy.faults.hook_fault import MAX_KEPT, HookEventView, HookFault, event_parameter, is_meant
from smproxy.faults.parameter import Parameter, Values


class HookDelay(HookFault):
    """Keep each event for a while."""

    name = "hook-delay"
    effect = "An event is delivered later. Events that are not meant overtake it."
    publish = "resolves"

    seconds = Parameter(1.0, "by how much")
    event = event_parameter()

    def __init__(self, values: Values, rng: Random) -> None:
        super().__init__(values, rng)
        self._kept: dict[str, HookEventView] = {}

    def take(self, event: HookEventView) -> int:
        """Keep it."""
        if not is_meant(event, self.event) or len(self._kept) >= MAX_KEPT or not self.delivery.draw():
            return 1
        self.delivery.acted(event, f"{event.state} by {self.seconds:g} s")
        self._kept[event.uuid] = event
        self.delivery.later(self.seconds, partial(self._due, event.uuid))
        return 0

    @property
    def keeps(self) -> bool:
        """Whether something is kept."""
        return bool(self._kept)

    def end(self) -> None:
        """Deliver what is kept."""
        for uuid in list(self._kept):
            self._due(uuid)

    def _due(self, uuid: str) -> None:
        if event := self._kept.pop(uuid, None):
            self.delivery.deliver((event,))
