"""When one migration may be cut over: what is predicted of it, whose yes counts, what holds it. Pure."""
