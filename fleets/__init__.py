"""What decides in a fleet, as pure functions: the workflows call them, and so can a rehearsal."""
