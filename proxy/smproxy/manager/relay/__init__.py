"""The relay: both legs of a proxied WebSocket, spliced, and the passive tap that reads along."""

from smproxy.manager.relay.filter import OriginFilter
from smproxy.manager.relay.limits import RelayLimits
from smproxy.manager.relay.observer import Observer, RelayEnd
from smproxy.manager.relay.relay import Relay
from smproxy.manager.relay.session import RelaySession

__all__ = ["Observer", "OriginFilter", "Relay", "RelayEnd", "RelayLimits", "RelaySession"]
