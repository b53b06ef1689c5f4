"""Who may publish and subscribe: a verdict per scheme, and the question to a back end."""
