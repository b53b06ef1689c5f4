"""Media from a publisher to those who watch, packet by packet and without a codec. Sans-I/O.

A :class:`Feed` is one published track, numbered without wraps and kept from the last key frame on; a :class:`Sender` is one
slot of a subscriber, whose sequence numbers and timestamps go on whatever it shows. ``feedback`` reads what subscribers say.
"""

from smproxy.origin.forward.down_track import Sender
from smproxy.origin.forward.track_forwarder import Feed

__all__ = ["Feed", "Sender"]
