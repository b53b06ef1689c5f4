"""Media from a publisher to its subscribers, packet by packet, without a codec. Sans-I/O.

A :class:`TrackForwarder` fans one published track out and keeps it from the last key frame on; a :class:`DownTrack` is one slot
of a subscriber, whose sequence numbers and timestamps go on whatever it shows. ``feedback`` reads what subscribers report.
"""

from smproxy.origin.forward.down_track import DownTrack
from smproxy.origin.forward.track_forwarder import Soon, TrackForwarder, at_once

__all__ = ["DownTrack", "Soon", "TrackForwarder", "at_once"]
