"""Fleets of real machines in the lab."""
