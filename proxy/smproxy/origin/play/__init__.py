"""The subscriber at the origin: its role, its signaling, its offer and its transport."""
