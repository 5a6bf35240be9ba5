"""Every fault of both APIs at every activity, and the deaths of worker and server: `make chaos`."""
