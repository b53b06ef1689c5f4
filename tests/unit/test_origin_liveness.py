"""When a silent peer is a gap, and when it is lost."""

from __future__ import annotations

from smproxy.origin.liveness import Liveness, LivenessVerdict


def test_silence_is_probed_then_a_gap_then_lost() -> None:
    """Probes from half the gap on, one gap, and at the time-out the end."""
    liveness = Liveness(2.0, 5.0, 0.0)
    assert liveness.look(1, 0.0) is LivenessVerdict.FINE
    seen = [liveness.look(1, step / 4) for step in range(1, 21)]
    assert seen[:3] == [LivenessVerdict.FINE] * 3
    assert seen[3:7] == [LivenessVerdict.PROBE] * 4
    assert seen[7] is LivenessVerdict.GAP
    assert seen.count(LivenessVerdict.GAP) == 1
    assert seen[-1] is LivenessVerdict.LOST
    assert seen.count(LivenessVerdict.LOST) == 1


def test_a_packet_after_a_gap_is_back_once() -> None:
    """The first packet after a gap is the return; the next ones are nothing new; a second gap is told again."""
    liveness = Liveness(2.0, 5.0, 0.0)
    liveness.look(1, 0.0)
    assert liveness.look(1, 2.0) is LivenessVerdict.GAP
    assert liveness.look(2, 2.5) is LivenessVerdict.BACK
    assert liveness.look(3, 3.0) is LivenessVerdict.FINE
    assert liveness.look(3, 5.0) is LivenessVerdict.GAP


def test_a_stall_of_the_loop_is_not_held_against_the_peer() -> None:
    """Time in which nobody looked does not count as silence."""
    liveness = Liveness(2.0, 5.0, 0.0)
    liveness.look(1, 0.0)
    liveness.discount_stall(10.0)
    assert liveness.look(1, 10.25) is LivenessVerdict.FINE
