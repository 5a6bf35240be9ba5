"""Whether a mark's owner lives is asked of Temporal and of our store, and never guessed."""

import uuid

import pytest
from temporalio.service import RPCError, RPCStatusCode

from activities.owners import Owners
from contracts.errors import FerryError
from contracts.names import Phase
from contracts.record import RecordState, appended, following
from disks.folder_store import FolderStore
from disks.record_journal import append_entries


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def remembered(store, migration, namespace, *, outcome=""):
    state = RecordState()
    said = {"migration": migration, "workflow": "migrate/vc/old", "namespace": namespace}
    state = appended(state, following(state, "begun", "2026-01-02T03:04:05+00:00", said))
    if outcome:
        state = appended(state, following(state, "ended", "2026-01-03T03:04:05+00:00", {"outcome": outcome}))
    append_entries(store, migration, state.pending)


async def test_a_migration_lives_until_it_ends_however_it_ends(temporal_client, migration, store):
    await migration.start(delta_interval="1h")
    status = await migration.until_phase(Phase.AWAITING_APPROVAL)

    living = await Owners(temporal_client, store).of(status.migration, migration.handle.id)
    await migration.handle.terminate("somebody's hand slipped")
    over = await Owners(temporal_client, store).of(status.migration, migration.handle.id)

    assert (living.state, over.state) == ("living", "over")
    assert over.ended is not None


async def test_a_new_migration_under_the_same_id_does_not_bring_the_old_one_to_life(temporal_client, migration, store):
    await migration.start(delta_interval="1h")
    old = await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.handle.terminate("gone")
    migration.handle = await temporal_client.start_workflow(
        "MigrateVm", {"source": "vc", "vm": "web01", "target": "pool", "delta_interval": "1h"},
        id=migration.handle.id, task_queue="ferry",
    )  # fmt: skip
    new = await migration.until_phase(Phase.AWAITING_APPROVAL)
    owners = Owners(temporal_client, store)

    assert (await owners.of(old.migration, migration.handle.id)).state == "over"
    assert (await owners.of(new.migration, migration.handle.id)).state == "living"


async def test_an_owner_that_nobody_here_ever_knew_is_unknown_and_not_dead(temporal_client, migration, store):
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    owners = Owners(temporal_client, store)

    assert (await owners.of(str(uuid.uuid4()), migration.handle.id)).state == "unknown"
    assert (await owners.of(str(uuid.uuid4()), "migrate/vc/of-another-ferry")).state == "unknown"
    assert (await owners.of("no run id at all", "migrate/vc/of-another-ferry")).state == "unknown"
    assert (await owners.of("", "")).state == "unknown"


async def test_one_that_temporal_has_forgotten_is_over_only_where_our_store_remembers_it(temporal_client, store):
    ours, theirs = str(uuid.uuid4()), str(uuid.uuid4())
    remembered(store, ours, temporal_client.namespace, outcome="failed")
    remembered(store, theirs, "another-namespace")
    owners = Owners(temporal_client, store)

    found = await owners.of(ours, "migrate/vc/old")
    assert (found.state, found.outcome, found.ended.year) == ("over", "failed", 2026)
    assert (await owners.of(ours, "")).workflow == "migrate/vc/old"
    assert (await owners.of(theirs, "migrate/vc/old")).state == "unknown"


async def test_where_temporal_does_not_answer_nobody_is_taken_for_dead(temporal_client, store):
    class Silent:
        namespace = "default"

        def get_workflow_handle(self, *_, **__):
            raise RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")

        list_workflows = get_workflow_handle

    remembered(store, "m1", "default", outcome="done")
    with pytest.raises(FerryError, match=r"temporal\.unreachable"):
        await Owners(Silent(), store).of("m1", "migrate/vc/old")
