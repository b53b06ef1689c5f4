"""The relay: both legs of a proxied WebSocket, spliced, and the passive tap that reads along."""

from proxy.manager.relay.filter import OriginFilter
from proxy.manager.relay.limits import RelayLimits
from proxy.manager.relay.observer import Observer, RelayEnd
from proxy.manager.relay.relay import Relay
from proxy.manager.relay.session import RelaySession

__all__ = ["Observer", "OriginFilter", "Relay", "RelayEnd", "RelayLimits", "RelaySession"]
