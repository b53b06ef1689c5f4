"""The commands beside ``serve`` and ``publish``: looking at hooks, and causing them."""
