"""WHIP and WHEP at the manager: endpoints, exchanges with origins, relayed sessions."""
