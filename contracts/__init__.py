"""The words that rooms say to each other. Imports nothing of ours."""
