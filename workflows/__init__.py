"""What happens in which order, and what survives."""
