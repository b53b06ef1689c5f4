"""What managers and origins of several nodes say to each other, and answers over all nodes."""
