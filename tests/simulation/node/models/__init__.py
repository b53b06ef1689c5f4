"""What must hold in every run, one model for each promise."""
