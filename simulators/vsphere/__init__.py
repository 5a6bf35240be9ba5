"""A vCenter (or bare ESXi host) with real disk bytes: SOAP on pyVmomi's types, and `/folder`, over TLS.

Enforced: sessions and their idle time-out, privileges, the free licence, snapshot and power rules, tasks that vanish,
leases that end after 300 s without progress and hold the machine, streams without length or ranges,
change ids per link, 2,000 extents and a span limit per answer, InvalidArgument at the capacity, change tracking that
begins at the next stun, locks of running VMs, frozen bases refused on VMFS, consolidation that takes time while the
guest writes, layoutEx that is stale until it is refreshed, content ids that change when a disk is closed after a write.

Left out: a bare host's own moids but for VMs, events and alarms, clusters and resource pools beyond one, DRS
and HA, clones, SESparse (all deltas are vmfsSparse), memory and quiesced snapshots (accepted, not different),
independent disks' own rules beyond their absence from snapshots, the REST API but for reading a VM's tags
under `/rest`.

Fault actions: ``fault`` (name of a vim.fault), ``task-fault`` (the task ends with it), ``drop``, ``delay``; for
``GET /folder``: ``http`` (a status), ``drop`` (after that many bytes), ``truncate``, ``stall``, ``no-range`` (a 200),
``wrong-range`` (as many bytes, of that many further on), ``wrong-size`` (the file has grown by that many);
for ``REST``: ``http``; for ``GET /nfc``: ``http``, ``drop``, ``truncate``, ``stall`` (after that many bytes);
for a task, as ``RemoveSnapshot_Task!``: ``lab-seconds`` that it takes.
Outages (simulators/outages.py): ``sessions`` end, the record of the next task is lost (``tasks``), ``leases`` time out,
vpxd or hostd restarts (``restart``).
"""
