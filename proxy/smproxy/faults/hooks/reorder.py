"""``hook-reorder``: hooks of one session overtake each other."""

from functools import partial
from random import Random

from smproxy.faults.hook_fault import MAX_KEPT, HookFault, Told, event_parameter, is_meant
from smproxy.faults.kind import FaultKind, Parameter, Room, Values


class Reorder(HookFault):
    """Collects some events of a session, then delivers them in another order."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._wanted, self._window, self._patience = values["event"], values["window"], values["patience"]
        self._rng = rng
        self._kept: dict[int, list[Told]] = {}

    def take(self, event: Told) -> int:
        """Collect it."""
        if not is_meant(event, self._wanted) or len(self._kept) >= MAX_KEPT or not self.line.draw():
            return 1
        self.line.acted(event, event.state)
        kept = self._kept.setdefault(event.session, [])
        kept.append(event)
        if len(kept) >= self._window:
            self._deliver(event.session, kept)
        elif len(kept) == 1:
            self.line.later(self._patience, partial(self._deliver, event.session, kept))
        return 0

    @property
    def keeps(self) -> bool:
        """Whether something is kept."""
        return bool(self._kept)

    def end(self) -> None:
        """Let go of what is kept."""
        for session, kept in list(self._kept.items()):
            self._deliver(session, kept)

    def _deliver(self, session: int, kept: list[Told]) -> None:
        if self._kept.get(session) is not kept:
            return
        del self._kept[session]
        mixed = kept.copy()
        while len(mixed) > 1 and mixed == kept:
            self._rng.shuffle(mixed)
        self.line.deliver(mixed)


FAULT = FaultKind(
    name="hook-reorder",
    room=Room.HOOKS,
    effect="So many events of a session are collected, at most for the patience, and delivered in another order.",
    publish="resolves",
    parameters=(
        Parameter("window", 3, "how many", 2, 100),
        Parameter("patience", 2.0, "seconds after which fewer will do"),
        event_parameter(),
    ),
    make=Reorder,
    live=True,
)
