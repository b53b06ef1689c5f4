"""The REST interface of Stream Manager 2.0, ``/as/v1``: a module for each group of routes."""
