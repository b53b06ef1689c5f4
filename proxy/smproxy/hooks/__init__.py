"""Who is told: the hook event, ordered delivery, and one module per sink."""
