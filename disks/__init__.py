"""Bytes and extents: what a disk is, what was copied of it, and what is proven. No HTTP, no Temporal."""
