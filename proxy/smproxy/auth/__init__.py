"""Who may publish and subscribe: one verdict per scheme, and the call to an authentication back end."""
