"""`ferry demo`: a whole migration on this machine, with a crash in the middle, proven at the end."""
