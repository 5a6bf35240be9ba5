"""vSphere as a source: one session, inventory by PropertyCollector, snapshots, change tracking, power, `/folder`."""
