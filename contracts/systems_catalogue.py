"""Codes of the preflight that speak of the systems, not of the machine; part of :mod:`contracts.error_catalogue`."""

from contracts.errors import ErrorEntry, ExitCode, Remedy

_F, _BLOCKED, _AUTH = Remedy.FAIL, ExitCode.BLOCKED, ExitCode.AUTH

SYSTEMS = (
    # -- our accounts
    ErrorEntry("preflight.privilege_missing", _F, "The account at the source lacks a privilege that every such migration "
               "comes to need.",
               "Grant it on what the message names (docs/vsphere.md lists all), then start again.", _AUTH),
    ErrorEntry("preflight.privilege_later", _F, "The account at the source lacks a privilege for what comes after a "
               "migration, or for keeping HA, DRS and auto-start off the source. It is moved all the same.",
               "Grant it (docs/vsphere.md), or see to what the message names by hand.", _AUTH),
    ErrorEntry("preflight.transport_privilege", _F, "The account lacks a privilege that one transport needs; the others do "
               "without.", "Grant it if that transport is wanted (docs/vsphere.md); nothing need be done otherwise."),
    ErrorEntry("preflight.role_too_low", _F, "The account's role at the pool refuses a call that the migration comes to make.",
               "Give it the role pool-operator or pool-admin (`xe subject-role-add`), then start again.", _AUTH),
    # -- transports
    ErrorEntry("preflight.no_transport", _F, "A disk can be read by no transport, as far as is known before it is frozen.",
               "The message says why for each: mend one, then start again. With an override the ladder tries them all.", _BLOCKED),
    ErrorEntry("preflight.stream_only", _F, "A disk is on vSAN or vVol, which without VDDK is read as a stream of the whole "
               "disk only.", "Expect whole reads of it; deltas send what changed all the same. VDDK reads ranges there."),
    ErrorEntry("preflight.export_not_seen", _F, "ferry.toml names an NFS export of a datastore, and the machine's disk is not "
               "seen there.", "Mount it, correct [sources.NAME] nfs, or let this worker's address read it; else https or nfc "
               "read the disk."),
    ErrorEntry("preflight.export_writable", _F, "A datastore's export is mounted on the worker so that it can be written.",
               "Mount it read-only (`ro,hard`): Ferry only reads there."),
    ErrorEntry("preflight.export_old_spelling", _F, "A datastore is spelled as Xen Orchestra's remotes were.",
               "Nothing need be done; its plain name will do in [sources.NAME] nfs."),
    # -- the source's hosts and datastores
    ErrorEntry("preflight.host_name", _F, "The worker's resolver does not know the name of an ESXi host, which exports and "
               "VDDK dial.", "Give it a name server that does, or an address: [sources.NAME] hosts = { \"esx1.example\" = "
               "\"10.0.0.5\" }."),
    ErrorEntry("preflight.host_port", _F, "An ESXi host does not answer the worker at a port that a transport dials: 443 for "
               "exports, 902 for VDDK.", "Open it in the firewall, or correct the address under [sources.NAME] hosts."),
    ErrorEntry("preflight.host_maintenance", _F, "The ESXi host that the machine is on is in maintenance mode.",
               "End it or move the machine: what is switched off there cannot be switched on again for the way back."),
    ErrorEntry("preflight.source_known_bad", _F, "The ESXi host's version is known to lose or forget writes.",
               "Update the host, or move the machine to another. With an override only the last proof, which reads the "
               "powered-off source whole, tells whether all arrived.", _BLOCKED),
    ErrorEntry("preflight.source_known_trouble", _F, "The ESXi host's version is known for trouble.",
               "Read what the message names; update the host when convenient."),
    ErrorEntry("preflight.datastore_maintenance", _F, "A datastore of the machine is in maintenance mode or about to be.",
               "Let that end first: a disk that is moved meanwhile is compared whole."),
    ErrorEntry("preflight.datastore_full", _F, "A datastore has too little room for the snapshot of a pass: a tenth of the "
               "machine's disks there, 1 GiB at least.",
               "Free some room. A datastore that runs full stops every machine on it; an override says that this guest "
               "writes little.", _BLOCKED),
    # -- the pool
    ErrorEntry("preflight.sr_unplugged", _F, "No enabled host of the pool has the SR plugged.",
               "Plug it (`xe pbd-plug`), or enable a host that has it, then start again.", _BLOCKED),
    ErrorEntry("preflight.sr_kind", _F, "The SR is of a kind that holds no disks of VMs (ISOs, removable storage).",
               "Name another SR with --sr; `ferry doctor` lists them.", _BLOCKED),
    ErrorEntry("preflight.sr_local", _F, "The SR is local to one host of the pool.",
               "Nothing need be done; name a shared SR with --sr if the machine must be able to run elsewhere."),
    ErrorEntry("preflight.no_fitting_host", _F, "No enabled host of the pool has both the SR and every mapped network.",
               "Map the networks elsewhere (--network), or plug SR and networks on one host.", _BLOCKED),
    ErrorEntry("preflight.memory_never_fits", _F, "The machine has more memory than any fitting host of the pool.",
               "Give the machine less memory on the source, or choose another pool.", _BLOCKED),
    ErrorEntry("preflight.memory_short", _F, "No fitting host of the pool has that much memory free now.",
               "Free some before the cutover, or the target will not start and the source comes back."),
    ErrorEntry("preflight.more_cpus_than_hosts", _F, "The machine has more vCPUs than any fitting host has CPUs.",
               "Give it fewer on the source. XAPI refuses such a start (HOST_NOT_ENOUGH_PCPUS) but in old versions.", _BLOCKED),
    ErrorEntry("preflight.host_disabled", _F, "A host of the pool is disabled or does not live, so nothing starts there.",
               "Nothing need be done where another host fits."),
    ErrorEntry("preflight.pool_licence", _F, "The licence of every fitting host has run out: they start no VM.",
               "Apply a licence (`xe host-apply-edition`), then start again.", _BLOCKED),
    ErrorEntry("preflight.pool_upgrading", _F, "The pool is in the middle of a rolling upgrade, in which imports are refused.",
               "Finish the upgrade of all hosts, then start again.", _BLOCKED),
    ErrorEntry("preflight.pool_known_trouble", _F, "The pool's version is known for trouble.",
               "Read what the message names; update the pool when convenient."),
    ErrorEntry("preflight.ha_enabled", _F, "The pool has high availability; the target comes without a restart priority.",
               "Set one after the migration. HA may refuse the start where it would break its plan."),
    ErrorEntry("preflight.mac_clash", _F, "A running VM of the pool has a MAC of the machine.",
               "If a migration made that VM of this machine, it was migrated already: nothing is to be done. Else stop that VM or "
               "change its MAC before the cutover: two of one address disturb each other. If it is on another network, "
               "override it and say so.", _BLOCKED),
    ErrorEntry("preflight.mac_twin", _F, "A VM of the pool that is off has a MAC of the machine: a copy of it, perhaps.",
               "Keep it off, or change its MAC."),
    ErrorEntry("preflight.backup_network", _F, "The pool has a backup network on which no host that sees the SR has an address.",
               "Give the host's PIF an address there, or clear the pool's other_config xo:backupNetwork.", _BLOCKED),
    ErrorEntry("preflight.pool_unreachable", _F, "The worker reaches no host at the address where the disks' bytes would go.",
               "Open port 443 from the worker to it, or route that network. If other workers do the copying, override it.",
               _BLOCKED),
    ErrorEntry("preflight.segment_over_a_day", _F, "At the limit of bandwidth one PUT takes longer than XAPI keeps its task "
               "(24 h).", "Ask for smaller segments (--segment-bytes) or allow more bandwidth, then start again.", _BLOCKED),
    ErrorEntry("preflight.segment_near_a_day", _F, "At the limit of bandwidth one PUT takes more than half of the 24 h that "
               "XAPI keeps its task.", "Smaller segments (--segment-bytes) are safer: other migrations slow it further."),
    ErrorEntry("preflight.no_ranges", _F, "No network of the pool is for NBD, so that large disks are read back whole to be "
               "proven.", "Allow NBD on one (`xe network-param-add param-name=purpose param-key=nbd`) for shorter proofs."),
    # -- the worker
    ErrorEntry("worker.tool_missing", _F, "A program that the worker's ferry.toml makes it need cannot be run.",
               "Install it on the worker, or name it by its whole path (`nbdkit =` in [sources.NAME.vddk])."),
    ErrorEntry("store.little_room", _F, "The worker's store has less than 1 GiB free.",
               "Free some room where [store] path lies: a journal that cannot be written stops every copy."),
    # -- both
    ErrorEntry("preflight.clock_skew", _F, "A system's clock and the worker's are more than a minute apart.",
               "Let all of them follow the same NTP servers."),
)  # fmt: skip
