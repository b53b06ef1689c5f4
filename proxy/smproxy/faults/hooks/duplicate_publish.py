"""``duplicate-publish``: a stream begins more than once."""

from smproxy.faults.hook_fault import PUBLISHED, HookEventView, HookFault
from smproxy.faults.parameter import Parameter


class DuplicatePublish(HookFault):
    """Repeat the beginning."""

    name = "duplicate-publish"
    effect = "`peer_joined` is delivered several times in a row, with the same `uuid`."
    publish = "resolves"

    times = Parameter(2, "how often it comes", 2, 10)

    def take(self, event: HookEventView) -> int:
        """Deliver it several times if it is the beginning."""
        if event.state != PUBLISHED or not self.delivery.draw():
            return 1
        self.delivery.acted(event)
        return self.times
