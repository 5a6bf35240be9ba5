"""Machines in files: appliances (OVA, OVF) and disk images of any make that qemu reads. Nothing of them is written."""
