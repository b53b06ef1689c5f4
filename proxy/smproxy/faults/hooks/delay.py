"""``hook-delay``: hooks come late."""

from functools import partial
from random import Random

from smproxy.faults.hook_fault import MAX_KEPT, HookFault, Told, event_parameter, is_meant
from smproxy.faults.kind import FaultKind, Parameter, Room, Values


class Delay(HookFault):
    """Keeps each event for a while."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._seconds, self._wanted = values["seconds"], values["event"]
        self._kept: dict[str, Told] = {}

    def take(self, event: Told) -> int:
        """Keep it."""
        if not is_meant(event, self._wanted) or len(self._kept) >= MAX_KEPT or not self.line.draw():
            return 1
        self.line.acted(event, f"{event.state} by {self._seconds:g} s")
        self._kept[event.uuid] = event
        self.line.later(self._seconds, partial(self._due, event.uuid))
        return 0

    @property
    def keeps(self) -> bool:
        """Whether something is kept."""
        return bool(self._kept)

    def end(self) -> None:
        """Let go of what is kept."""
        for uuid in list(self._kept):
            self._due(uuid)

    def _due(self, uuid: str) -> None:
        if event := self._kept.pop(uuid, None):
            self.line.deliver((event,))


FAULT = FaultKind(
    name="hook-delay",
    room=Room.HOOKS,
    effect="An event is delivered later. Events that are not meant overtake it.",
    publish="resolves",
    parameters=(Parameter("seconds", 1.0, "by how much"), event_parameter()),
    make=Delay,
    live=True,
)
