"""A Red5-style stream manager, signaling proxy, origin and lifecycle hooks in one command."""

__version__ = "0.1.0"
