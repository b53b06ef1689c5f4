"""``late-unpublish-after-republish``: the end of a stream is told after its next beginning."""

from functools import partial
from random import Random

from smproxy.faults.hook_fault import MAX_KEPT, PUBLISHED, UNPUBLISHED, Chosen, HookFault, Told
from smproxy.faults.kind import FaultKind, Parameter, Room, Values


class LateUnpublish(HookFault):
    """Keeps the end of a session until another session has published the same stream."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._patience = values["patience"]
        self._chosen = Chosen()
        self._kept: dict[int, list[Told]] = {}

    def take(self, event: Told) -> int:
        """Keep the end of a stream, and all that the session tells after it."""
        self.see(event)
        kept = self._kept.get(event.session)
        if kept is not None:
            kept.append(event)
            return 0
        if event.state not in UNPUBLISHED or len(self._kept) >= MAX_KEPT or not self._chosen(self.line, event):
            return 1
        self._kept[event.session] = [event]
        self.line.acted(event, event.state)
        self.line.later(self._patience, partial(self._deliver, event.session))
        return 0

    def see(self, event: Told) -> None:
        """Let go of the ends that the same stream's new beginning has overtaken."""
        if event.state == PUBLISHED:
            for session, kept in list(self._kept.items()):
                if session != event.session and kept[0].key == event.key:
                    self._deliver(session)

    @property
    def keeps(self) -> bool:
        """Whether something is kept."""
        return bool(self._kept)

    def end(self) -> None:
        """Let go of what is kept."""
        for session in list(self._kept):
            self._deliver(session)

    def _deliver(self, session: int) -> None:
        if kept := self._kept.pop(session, None):
            self.line.deliver(kept)


FAULT = FaultKind(
    name="late-unpublish-after-republish",
    room=Room.HOOKS,
    effect="`peer_leaved` and `disconnected` of a session come only after the `peer_joined` of the next session of "
    "the same stream, or when nobody has published it for so long.",
    publish="resolves",
    parameters=(Parameter("patience", 30.0, "seconds to wait for the next session"),),
    make=LateUnpublish,
    live=True,
)
