"""A fleet played through on paper: the functions that decide for the workflows, in a loop of discrete events."""
