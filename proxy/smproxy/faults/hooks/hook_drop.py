"""``hook-drop``: hooks are lost."""

from smproxy.faults.hook_fault import HookEventView, HookFault, event_parameter, is_meant


class HookDrop(HookFault):
    """Lose events."""

    name = "hook-drop"
    effect = "An event is never delivered; the journal has it, as skipped."
    publish = "resolves"

    event = event_parameter()

    def take(self, event: HookEventView) -> int:
        """Lose it."""
        if not is_meant(event, self.event) or not self.delivery.draw():
            return 1
        self.delivery.acted(event, event.state)
        return 0
