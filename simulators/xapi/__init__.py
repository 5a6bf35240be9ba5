"""A pool of XCP-ng hosts with real disk bytes: XML-RPC, JSON-RPC, import and export of raw VDIs, over TLS.

Enforced: signatures (`signatures.json`), roles, sessions, tasks and their clocks, blocked operations, VM.start's
checks, VBD, VIF and VDI rules, the receiver measured in `xapi-receive.md` row by row, the 200 before the body,
dom0 VBDs, NBD where a network is for it (nbd.py), an export against a ``base`` of the 2 MiB blocks that their chains do
not share (chains.py), VDI.checksum (checksum.py).

Left out: HA, live migration, suspend and resume, metadata import, qcow2 and tar streams,
VHD chains on disk (a VDI is a sparse raw file; of its chain only is known which link holds which
blocks), their coalescing, VDI.clone, VDI.copy and VDI.revert, events other than of tasks,
HTTP Basic and external authentication, template disks, the networks' traffic. A host's address carries its port.

Fault actions: ``error`` (an XAPI error list), ``drop`` (reset after that many payload bytes; of a
message: carried out, and the answer is lost), ``eof`` (end of the
stream after that many), ``leave-vbd`` (the dom0 VBD stays), ``lose-task`` (the record goes), ``slow`` (bytes per
second), ``http`` (a status), ``lose`` (a write over that byte is lost, and the task succeeds all the same), ``delay``.
Methods: a message's name such as ``VDI.create``, on the name of its object; ``PUT /import_raw_vdi``,
``GET /export_raw_vdi`` and, of an export against a base, ``GET /export_raw_vdi?base``, on the VDI's name;
``VDI.checksum!`` (``error``, ``slow``) once it is under way.
Outages (simulators/outages.py): ``sessions`` end, the next task that ends is lost (``tasks``), the toolstack restarts
(``restart``, with its argument true dom0 VBDs stay), another host becomes the coordinator (``master``).
"""
