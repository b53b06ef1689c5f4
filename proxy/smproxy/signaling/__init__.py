"""Connection parameters, signaling messages, node channel and session life. Does no I/O."""
