"""One node in a simulated world: time, disk, receivers, origin and clients are simulated, all else is the real code."""
