"""Messages between managers and origins of several nodes, and answers over all nodes."""
