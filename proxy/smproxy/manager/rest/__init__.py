"""The stream manager's HTTP interface, one route group per module."""
