"""Several machines as one: nodes with leases, claims of streams, ends for dead nodes."""
