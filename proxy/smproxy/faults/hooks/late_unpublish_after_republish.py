"""``late-unpublish-after-republish``: the end of a stream comes after its next beginning."""

from functools import partial
from random import Random

from smproxy.faults.hook_fault import MAX_KEPT, PUBLISHED, UNPUBLISHED, HookEventView, HookFault, SessionChoice
from smproxy.faults.parameter import Parameter, Values


class LateUnpublish(HookFault):
    """Keep the end of a session until another session has published the same stream."""

    name = "late-unpublish-after-republish"
    effect = (
        "`peer_leaved` and `disconnected` of a session come only after the `peer_joined` of the next session of "
        "the same stream, or when nobody has published it for so long."
    )
    publish = "resolves"

    patience = Parameter(30.0, "seconds to wait for the next session")

    def __init__(self, values: Values, rng: Random) -> None:
        super().__init__(values, rng)
        self._chosen = SessionChoice()
        self._kept: dict[int, list[HookEventView]] = {}

    def take(self, event: HookEventView) -> int:
        """Keep the end of a stream, and all that comes of the session after it."""
        self.observe(event)
        kept = self._kept.get(event.session)
        if kept is not None:
            kept.append(event)
            return 0
        if event.state not in UNPUBLISHED or len(self._kept) >= MAX_KEPT or not self._chosen(self.delivery, event):
            return 1
        self._kept[event.session] = [event]
        self.delivery.acted(event, event.state)
        self.delivery.later(self.patience, partial(self._deliver, event.session))
        return 0

    def observe(self, event: HookEventView) -> None:
        """Deliver the ends that the same stream's new beginning has overtaken."""
        if event.state == PUBLISHED:
            for session, kept in list(self._kept.items()):
                if session != event.session and kept[0].key == event.key:
                    self._deliver(session)

    @property
    def keeps(self) -> bool:
        """Whether something is kept."""
        return bool(self._kept)

    def end(self) -> None:
        """Deliver what is kept."""
        for session in list(self._kept):
            self._deliver(session)

    def _deliver(self, session: int) -> None:
        if kept := self._kept.pop(session, None):
            self.delivery.deliver(kept)
