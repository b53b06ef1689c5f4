"""``hook-reorder``: hooks of one session overtake each other."""

from functools import partial
from random import Random

from smproxy.faults.hook_fault import MAX_KEPT, HookEventView, HookFault, event_parameter, is_meant
from smproxy.faults.parameter import Parameter, Values


class HookReorder(HookFault):
    """Collect some events of a session, then deliver them in another order."""

    name = "hook-reorder"
    effect = "So many events of a session are collected, at most for the patience, and delivered in another order."
    publish = "resolves"

    window = Parameter(3, "how many", 2, 100)
    patience = Parameter(2.0, "seconds after which fewer will do")
    event = event_parameter()

    def __init__(self, values: Values, rng: Random) -> None:
        super().__init__(values, rng)
        self._kept: dict[int, list[HookEventView]] = {}

    def take(self, event: HookEventView) -> int:
        """Collect it."""
        if not is_meant(event, self.event) or len(self._kept) >= MAX_KEPT or not self.delivery.draw():
            return 1
        self.delivery.acted(event, event.state)
        kept = self._kept.setdefault(event.session, [])
        kept.append(event)
        if len(kept) >= self.window:
            self._deliver(event.session, kept)
        elif len(kept) == 1:
            self.delivery.later(self.patience, partial(self._deliver, event.session, kept))
        return 0

    @property
    def keeps(self) -> bool:
        """Whether something is kept."""
        return bool(self._kept)

    def end(self) -> None:
        """Deliver what is kept."""
        for session, kept in list(self._kept.items()):
            self._deliver(session, kept)

    def _deliver(self, session: int, kept: list[HookEventView]) -> None:
        if self._kept.get(session) is not kept:
            return
        del self._kept[session]
        mixed = kept.copy()
        while len(mixed) > 1 and mixed == kept:
            self.rng.shuffle(mixed)
        self.delivery.deliver(mixed)
