"""Publish a generated stream with libavformat's WHIP muxer: python whip_encoder.py URL SECONDS CERTIFICATE KEY.

A process of its own, since PyAV keeps the interpreter's lock while it connects.
"""

from __future__ import annotations

import fractions
import sys
import time

import av


def publish(url: str, seconds: float, certificate: str, key: str) -> None:
    """Encode moving grey pictures and silence in real time, and send them."""
    options = {"strict": "experimental", "cert_file": certificate, "key_file": key}
    with av.open(url, "w", format="whip", options=options) as container:
        video = container.add_stream("libx264", rate=20)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.options = {"profile": "baseline", "preset": "ultrafast", "tune": "zerolatency", "g": "20", "bf": "0"}
        audio = container.add_stream("libopus", rate=48000, layout="stereo")
        began = time.monotonic()
        for number in range(int(seconds * 20)):
            picture = av.VideoFrame(320, 240, "yuv420p")
            for plane in picture.planes:
                plane.update(bytes([64 + number % 128]) * plane.buffer_size)
            picture.pts, picture.time_base = number, fractions.Fraction(1, 20)
            container.mux(video.encode(picture))
            sound = av.AudioFrame("s16", "stereo", 2400)
            for plane in sound.planes:
                plane.update(bytes(plane.buffer_size))
            sound.sample_rate, sound.pts, sound.time_base = 48000, number * 2400, fractions.Fraction(1, 48000)
            container.mux(audio.encode(sound))
            # The muxer sends what it is given at once, so that the pace is that of this loop.
            time.sleep(max(0.0, began + number / 20 - time.monotonic()))


if __name__ == "__main__":
    publish(sys.argv[1], float(sys.argv[2]), *sys.argv[3:5])
