"""``hook-duplicate``: hooks come more than once."""

from smproxy.faults.hook_fault import HookEventView, HookFault, event_parameter, is_meant
from smproxy.faults.parameter import Parameter


class HookDuplicate(HookFault):
    """Repeat events."""

    name = "hook-duplicate"
    effect = "An event is delivered several times in a row, with the same `uuid`."
    publish = "resolves"

    times = Parameter(2, "how often it comes", 2, 10)
    event = event_parameter()

    def take(self, event: HookEventView) -> int:
        """Deliver it several times."""
        if not is_meant(event, self.event) or not self.delivery.draw():
            return 1
        self.delivery.acted(event, event.state)
        return self.times
