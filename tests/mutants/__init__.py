"""One break per rule of docs/safety.md, each of which its tests must catch: ``make mutants``."""
