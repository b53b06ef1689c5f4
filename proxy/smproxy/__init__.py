"""A Red5-style stream manager, signaling proxy, origin and lifecycle hooks in one command."""

__version__ = "0.2.0.dev0"
