"""Machines in files: appliances and images made by script, with qemu-img as the judge."""
