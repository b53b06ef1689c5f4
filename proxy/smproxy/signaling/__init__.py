"""What is said: connection parameters, messages, the node channel and the life of a session. Does no I/O."""
