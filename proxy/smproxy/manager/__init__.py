"""Who is where: the listener, REST, the relay, the origin registry and the live sessions."""
