"""Codecs in RTP: where a frame starts, and frames from packets.

Nothing is decoded. Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Callable

from smproxy.origin.codecs.frame import Depacketizer
from smproxy.origin.codecs.h264 import H264Depacketizer
from smproxy.origin.codecs.h264 import frame_start as h264_frame_start
from smproxy.origin.codecs.opus import OpusDepacketizer
from smproxy.origin.codecs.vp8 import Vp8Depacketizer
from smproxy.origin.codecs.vp8 import frame_start as vp8_frame_start
from smproxy.origin.rtp_packet import FrameStart

#: What finds the packet that starts a frame, by codec; only video has it.
FRAME_START: dict[str, Callable[[bytes], FrameStart | None]] = {"VP8": vp8_frame_start, "H264": h264_frame_start}

#: What makes frames of packets, by codec; what is not here is not recorded.
DEPACKETIZERS: dict[str, Callable[[], Depacketizer]] = {
    "VP8": Vp8Depacketizer,
    "H264": H264Depacketizer,
    "opus": OpusDepacketizer,
}
