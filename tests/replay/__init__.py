"""Histories of real migrations, replayed: a change that would break one that runs is caught here."""
