"""The worker process: config to clients to activities to task queues. ``python worker.py --config ferry.toml``."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.approved_steps import ApprovedStepActivities
from activities.assessment import AssessmentActivities
from activities.calendar import CalendarActivities
from activities.inspection import InspectionActivities
from activities.leftovers import LeftoverActivities
from activities.limits import Limits
from activities.living import LivingActivities
from activities.moving import MovingActivities
from activities.notifying import NotifyingActivities
from activities.permits import PermitActivities
from activities.powering_off import PoweringOff
from activities.preflight import PreflightActivities
from activities.recording import RecordingActivities
from activities.retiring import RetiringActivities
from activities.smoke import SmokeActivities
from activities.source import SourceActivities
from activities.systems import Systems
from activities.target import TargetActivities
from activities.test_boot import TestBootActivities
from activities.transfer import TransferActivities
from activities.verification import VerificationActivities
from contracts.config import Config, FilesConfig, SourceConfig, StoreConfig, config_path, load_config
from contracts.error_catalogue import entry
from contracts.errors import ExitCode, FerryError
from contracts.names import DEPLOYMENT, QUEUE, TRANSFER_QUEUE, Attribute
from contracts.sites import queue_of
from disks.folder_store import FolderStore
from disks.store import Store
from platforms.files.source import FilesSource
from platforms.ports import Source
from platforms.vsphere.source import VsphereSource
from platforms.xapi.target import XapiTarget
from starter.connecting import connect
from starter.polling import polled, queues_of
from trust.converting import codec_of, converter_with
from trust.telling import core_runtime, speak
from workflows.assess import Assess
from workflows.capacity import Capacity
from workflows.collect_leftovers import CollectLeftovers
from workflows.inspect import Inspect
from workflows.migrate_fleet import MigrateFleet
from workflows.migrate_vm import MigrateVm
from workflows.move_disk import MoveDisk
from workflows.read_record import ReadRecordWorkflow
from workflows.retire_vm import RetireVm
from workflows.verify_vm import VerifyVm
from workflows.versioned import VersionedCapacity, VersionedFleet

GRACE = timedelta(seconds=5)
"""After SIGTERM: activities cut their segment and hand over within it."""
COUNTED_EVERY = 10.0
"""Seconds between looks at how many workers there are."""
DISKS_AT_ONCE = 8
"""Copies per worker: bandwidth is the limit, and each holds 12 MiB of buffers."""

log = structlog.get_logger()


def _store(config: StoreConfig) -> Store:
    if config.s3 is None:
        assert config.path is not None
        return FolderStore(config.path)
    # Only here: the SDK takes a third of a second and 30 MiB, which a worker with a folder need not pay.
    from platforms.s3.bucket import Bucket
    from platforms.s3.store import S3Store

    return S3Store(Bucket(config.s3))


def _source(name: str, config: SourceConfig | FilesConfig) -> Source:
    return FilesSource(name, config) if isinstance(config, FilesConfig) else VsphereSource(name, config)


def _tools_of(name: str, config: SourceConfig | FilesConfig) -> dict[str, str]:
    if isinstance(config, FilesConfig):
        return dict.fromkeys(("qemu-nbd", "qemu-img", "prlimit"), f"[sources.{name}]")
    return {config.vddk.nbdkit: f"[sources.{name}.vddk]"} if config.vddk is not None else {}


def build_systems(config: Config) -> Systems:
    """Clients for all systems of the config; they log in when they are first used."""
    if config.store is None:
        raise FerryError("config.invalid", "a worker needs [store] path = … or [store.s3]: its journals live there")
    return Systems(
        sources={name: _source(name, each) for name, each in config.sources.items()},
        targets={name: XapiTarget(name, each) for name, each in config.targets.items()},
        store=_store(config.store),
        tools={
            program: where for name, each in config.sources.items() for program, where in _tools_of(name, each).items()
        },
        notify=config.notify,
        site=config.worker.site,
        limits=Limits(
            config.worker.bandwidth,
            {name: each.disks_per_host for name, each in config.sources.items() if isinstance(each, SourceConfig)},
            config.capacity.bandwidth,
        ),
        capacity=config.capacity,
    )


async def register_search_attributes(client: Client) -> None:
    """Add what is missing: an unregistered attribute would wedge every migration (temporal.md §2).

    Raises:
        FerryError: with the command to type, where this client may not add them.
    """
    wanted = {
        attribute.value: IndexedValueType.INDEXED_VALUE_TYPE_BOOL
        if attribute is Attribute.NEEDS_HUMAN
        else IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        for attribute in Attribute
    }
    operator = client.operator_service
    listed = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    missing = {name: kind for name, kind in wanted.items() if name not in listed.custom_attributes}
    if not missing:
        return
    try:
        await operator.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
    except RPCError as error:
        words = " ".join(
            f"--name {name} --type {'Bool' if name == Attribute.NEEDS_HUMAN else 'Keyword'}" for name in missing
        )
        raise FerryError(
            "temporal.unreachable",
            f"search attributes are missing and may not be added here ({error.message}); "
            f"type: temporal operator search-attribute create --namespace {client.namespace} {words}",
        ) from None


_WORKFLOWS = [
    MigrateVm,
    MigrateFleet,
    Capacity,
    Inspect,
    Assess,
    VerifyVm,
    ReadRecordWorkflow,
    CollectLeftovers,
    RetireVm,
    MoveDisk,
]


def deployment(build_id: str) -> WorkerDeploymentConfig | None:
    """Under which version a worker works; None: as one of no version.

    A migration stays with the code that it began with (server 1.29 keeps it there in its next run, too); fleets and
    the table of permits, which go on for months, move to the current one (their code is guarded by patches).
    """
    if not build_id:
        return None
    version = WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build_id)
    return WorkerDeploymentConfig(
        version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )


def _workflows(build_id: str) -> list[type]:
    versioned: dict[type, type] = {MigrateFleet: VersionedFleet, Capacity: VersionedCapacity}
    return [versioned.get(each, each) if build_id else each for each in _WORKFLOWS]


def workers(client: Client, systems: Systems, build_id: str = "") -> list[Worker]:
    """One for workflows and light activities, one for the bytes; of a site, the workflows apart.

    Whoever can reach Temporal can run a workflow, but the activities of a site only its own workers.
    """
    source, target, verification = SourceActivities(systems), TargetActivities(systems), VerificationActivities(systems)
    light: Sequence[Callable[..., Any]] = [
        PreflightActivities(systems).preflight,
        ApprovedStepActivities(systems).take_approved_step,
        InspectionActivities(systems).inspect,
        *_activities_of(RecordingActivities(systems)),
        *_activities_of(LeftoverActivities(systems)),
        CalendarActivities().next_window,
        NotifyingActivities(systems).notify,
        LivingActivities().members_gone,
        *_activities_of(PoweringOff(systems)),
        *_activities_of(AssessmentActivities(systems)),
        *_activities_of(source),
        *_activities_of(target),
        *_activities_of(SmokeActivities(systems)),
        *_activities_of(RetiringActivities(systems)),
        *_activities_of(TestBootActivities(systems)),
        *_activities_of(MovingActivities(systems)),
        *_activities_of(PermitActivities(systems.capacity)),
    ]
    common: dict[str, Any] = {
        "deployment_config": deployment(build_id),
        "graceful_shutdown_timeout": timedelta(0),  # cancel at once: they cut, and wait for their cut
        "max_heartbeat_throttle_interval": timedelta(seconds=1),  # SAFETY 3
        "default_heartbeat_throttle_interval": timedelta(seconds=1),
    }
    workflows: dict[str, Any] = {"workflows": _workflows(build_id)}
    site = systems.site
    apart = [Worker(client, task_queue=QUEUE, **workflows, **common)] if site else []
    return [
        *apart,
        Worker(
            client, task_queue=queue_of(QUEUE, site), activities=light, max_concurrent_activities=100,
            **({} if site else workflows), **common,
        ),
        Worker(
            client, task_queue=queue_of(TRANSFER_QUEUE, site),
            activities=[TransferActivities(systems).copy_disk, *_activities_of(verification)],
            max_concurrent_activities=DISKS_AT_ONCE, **common,
        ),
    ]  # fmt: skip


def _activities_of(holder: object) -> list[Callable[..., Any]]:
    return [
        getattr(holder, name)
        for name in dir(holder)
        if not name.startswith("_") and hasattr(getattr(holder, name), "__temporal_activity_definition")
    ]


async def _count_workers(client: Client, systems: Systems) -> None:
    """How many share the budgets of bandwidth: whoever polls the same queue. Who has died counts a minute longer."""
    queue = queue_of(TRANSFER_QUEUE, systems.site)
    while True:
        with contextlib.suppress(RPCError):  # then as many as before
            systems.limits.workers = max(1, len((await polled(client, queue, systems.site)).workers))
        await asyncio.sleep(COUNTED_EVERY)


async def serve(config: Config) -> None:
    """Poll until SIGTERM or SIGINT; then cut what is under way, hand over, and log out."""
    systems = build_systems(config)
    codec = codec_of(config.temporal)
    client = await connect(config.temporal, converter=converter_with(codec), runtime=core_runtime(), patience=60.0)
    await register_search_attributes(client)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    log.info(
        "worker polls", queues=list(queues_of(systems.site)), store=systems.store.id, namespace=client.namespace,
        payload_keys=list(codec.key_ids), build_id=config.worker.build_id,
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as running:
        for each in workers(client, systems, config.worker.build_id):
            await running.enter_async_context(each)
        counting = asyncio.create_task(_count_workers(client, systems)) if config.capacity.bandwidth else None
        print("ready", flush=True)
        await stop.wait()
        if counting is not None:
            counting.cancel()
        log.info("worker stops: open segments are cut and handed over")
    with ThreadPoolExecutor() as pool:
        for system in (*systems.sources.values(), *systems.targets.values()):
            pool.submit(system.close)


def main() -> int:
    """Parse, serve, and end with 0; with the error told 1, or 10 where somebody did not let us in."""
    parser = argparse.ArgumentParser(description="Ferry's worker: carries out migrations.")
    parser.add_argument("--config", type=Path, help="ferry.toml; default: FERRY_CONFIG, else ./ferry.toml")
    path = config_path(parser.parse_args().config)
    speak()
    try:
        if path is None:
            raise FerryError("config.invalid", "no ferry.toml: name it with --config or FERRY_CONFIG")
        asyncio.run(serve(load_config(path)))
    except FerryError as error:
        known = entry(error.code)
        told = f"error[{error.code}]: {error.message}\n  meaning: {known.meaning}\n  to do:   {known.action}"
        print(told, file=sys.stderr, flush=True)
        return known.exit_code if known.exit_code is ExitCode.AUTH else ExitCode.ERROR
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # SDK 1.35 crashes the interpreter at exit now and then (temporal.md §7a)
