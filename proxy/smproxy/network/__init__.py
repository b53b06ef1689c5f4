"""Bad networks: conditions of a path, named profiles, and their effect on each datagram."""

from smproxy.network.conditions import Conditions, NetworkError
from smproxy.network.link import NetworkLink
from smproxy.network.profiles import PROFILES, Profile
from smproxy.network.scenario import Scenario, read_scenario

__all__ = ["PROFILES", "Conditions", "NetworkLink", "NetworkError", "Profile", "Scenario", "read_scenario"]
