"""``network``: a bad network between one client and the origin."""

import random
from collections.abc import Mapping

from smproxy.faults.media_fault import MediaFault
from smproxy.faults.parameter import FaultError, Parameter, Value
from smproxy.network import PROFILES, Conditions, NetworkError, NetworkLink, Scenario, read_scenario
from smproxy.network.conditions import MOST

_AS_PROFILE = -1.0


def _condition(name: str, help: str) -> Parameter[float]:
    return Parameter(_AS_PROFILE, f"{help}; -1: the profile's", _AS_PROFILE, MOST[name])


class Network(MediaFault):
    """Delay, lose, reorder and double the datagrams of one client, and limit their rate."""

    name = "network"
    effect = (
        "The path between client and origin is a bad one, from the first connectivity check on: STUN, DTLS, RTP and RTCP share "
        "its delay, its rate and its queue, so that browsers react as in life. Conditions that are given replace those of the "
        "profile. Of several such faults the latest holds, for each direction."
    )
    publish = "resolves, later; may time out"
    live = True

    profile = Parameter("good", "a named network", choices=tuple(PROFILES))
    direction = Parameter("both", "from the client (up), to it (down), or both", choices=("both", "up", "down"))
    delay = _condition("delay", "milliseconds, one way")
    jitter = _condition("jitter", "milliseconds, of which a random part is added")
    rate = _condition("rate", "kbit/s; 0: no limit")
    queue = _condition("queue", "milliseconds that a datagram may wait for its turn; what would wait longer is dropped")
    loss = _condition("loss", "percent")
    burst = _condition("burst", "how many are lost at a time, on average")
    reorder = _condition("reorder", "percent that come later than those behind them")
    duplicate = _condition("duplicate", "percent that come twice")
    outage = _condition("outage", "milliseconds without any datagram, at once")
    every = _condition("every", "seconds after which an outage comes again")
    scenario = Parameter("", "what changes when: `SECONDS PROFILE` or `SECONDS NAME=NUMBER …`, with `;` between")
    repeat = Parameter(0.0, "seconds after which the scenario begins again; 0: never")

    @classmethod
    def read(cls, given: Mapping[str, object]) -> dict[str, Value]:
        """Return the values of all parameters.

        Raises:
            FaultError: one is unknown or unusable; the scenario cannot be read, or is not over when it begins again.
        """
        values = super().read(given)
        try:
            scenario = read_scenario(str(values["scenario"]))
        except NetworkError as error:
            raise FaultError(f"{cls.name}: {error}") from None
        repeat = float(values["repeat"])
        if repeat and (not scenario or repeat < max(1.0, scenario[-1].at)):
            raise FaultError(
                f"{cls.name}: repeat={repeat:g} is not usable: a scenario repeats after its last step, and 1 second"
            )
        return values

    def negotiating(self) -> None:
        """Begin with the first datagram."""
        given = {name: value for name in MOST if (value := float(getattr(self, name))) != _AS_PROFILE}
        profile = PROFILES[self.profile]
        self._up = self._link("up", profile.up.changed(given))
        self._down = self._link("down", profile.down.changed(given))
        self.peer.impair(self._up, self._down)
        if self.scenario:
            self._play(read_scenario(self.scenario))

    def _link(self, direction: str, conditions: Conditions) -> NetworkLink | None:
        # Each direction has random numbers of its own: what one carries does not change the other.
        seed = self.rng.getrandbits(64)
        if self.direction not in {"both", direction}:
            return None
        return NetworkLink(conditions, random.Random(seed))  # noqa: S311 - to be repeated

    def _play(self, scenario: Scenario) -> None:
        for step in scenario:
            self.peer.later(step.at, lambda step=step: self._change(step.up, step.down))  # type: ignore[misc]
        if self.repeat:
            self.peer.later(self.repeat, lambda: self._play(scenario))

    def _change(self, up: Conditions, down: Conditions) -> None:
        for link, conditions in ((self._up, up), (self._down, down)):
            if link is not None:
                link.change(conditions)
