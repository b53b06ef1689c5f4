"""The relay: splices both legs of a proxied WebSocket and reads the frames unchanged."""

from smproxy.manager.relay.connection import RelayedConnection
from smproxy.manager.relay.limits import RelayLimits
from smproxy.manager.relay.observer import Observer, RelayEnd
from smproxy.manager.relay.origin_filter import OriginFilter
from smproxy.manager.relay.relay import Relay

__all__ = ["Observer", "OriginFilter", "Relay", "RelayEnd", "RelayLimits", "RelayedConnection"]
