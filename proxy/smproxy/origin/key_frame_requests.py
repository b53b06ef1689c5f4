"""Whether a publisher answers requests for key frames. Sans-I/O.

Learned from the requests that are made anyway: one made to find out would move the key frames of recordings.
"""

from __future__ import annotations

#: Seconds within which an answer comes. Encoders that ignore requests and have a key frame a second are told apart by it.
ANSWER_TIME = 0.4
#: Frames within which a key frame is an answer, however long they took: a page may send few.
ANSWER_FRAMES = 3


class KeyFrameRequests:
    """The requests for key frames of a track, and whether the last one was answered.

    Browsers answer within a frame or two. The WHIP muxers of FFmpeg and OBS ignore requests, and send a key frame every few
    seconds. One that happens to come just after a request passes for an answer until the next request goes unanswered.
    """

    __slots__ = ("_frames", "_sent", "answered")

    def __init__(self) -> None:
        #: Not before it is known.
        self.answered = False
        self._sent: float | None = None
        self._frames = 0

    def sent(self, now: float, frames: int) -> None:
        """Note a request, and of how many frames came before it. Seconds.

        Of several in a row the first one counts: by the rate of their repetition any key frame would be an answer.
        """
        if self._sent is None:
            self._sent, self._frames = now, frames

    def key_frame(self, now: float, frames: int) -> None:
        """Note a key frame, and of how many frames there are with it."""
        if self._sent is not None:
            self.answered = now - self._sent <= ANSWER_TIME or frames - self._frames <= ANSWER_FRAMES
            self._sent = None
