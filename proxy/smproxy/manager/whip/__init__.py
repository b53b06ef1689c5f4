"""WHIP and WHEP at the manager: endpoints, the exchange with an origin, and the sessions it relays."""
