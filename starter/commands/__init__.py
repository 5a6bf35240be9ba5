"""The commands, one file each (or one idea). What is heavy is imported inside: `ferry --help` opens at once."""
