"""Workers killed at seeded random moments, until every activity was hit: `make crash`."""
