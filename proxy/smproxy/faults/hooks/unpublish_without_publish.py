"""``unpublish-without-publish``: a stream's beginning is lost, its end is not."""

from smproxy.faults.hook_fault import PUBLISHED, HookEventView, HookFault


class UnpublishWithoutPublish(HookFault):
    """Lose the beginning."""

    name = "unpublish-without-publish"
    effect = "`peer_joined` is never delivered; the end of the stream is."
    publish = "resolves"

    def take(self, event: HookEventView) -> int:
        """Lose it if it is the beginning."""
        if event.state != PUBLISHED or not self.delivery.draw():
            return 1
        self.delivery.acted(event)
        return 0
