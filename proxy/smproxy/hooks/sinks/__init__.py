"""Where hooks go: one module per kind of receiver, and the URIs that name them."""
