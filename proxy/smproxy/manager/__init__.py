"""The stream manager: listener, REST, relay, origin registry and live sessions."""
