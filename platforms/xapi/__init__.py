"""XCP-ng pools, through XAPI.

Start with `target.py`: what activities ask for. `connection.py` is the one login that all threads share,
`shell.py` makes the machine, `vdi.py` and `segment.py` write its disks, `read_back.py` reads them again.
Opaque refs never leave this package: everything is named by uuid, and looked up again when it is needed.
"""
