"""What a person starts things with: the ``ferry`` command. It dials Temporal only."""
