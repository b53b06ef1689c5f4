"""The commands of ``smproxy``, one module for each; :mod:`smproxy.serve` is the server."""
