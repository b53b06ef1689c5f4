"""``ice-never-completes``: no media connection comes about."""

from smproxy.faults.media_fault import MediaFault


class IceNeverCompletes(MediaFault):
    """Answer no connectivity check."""

    name = "ice-never-completes"
    effect = (
        "The origin takes the offer and answers no STUN check. It gives up after 15 s with an error. Hook: "
        "`connect_error`, error 1."
    )
    publish = "resolves: the start of a stream does not wait for its media connection"

    def negotiating(self) -> None:
        """Receive nothing of a client that is not connected yet."""
        if not self.peer.up:
            self.peer.drop_inbound()
