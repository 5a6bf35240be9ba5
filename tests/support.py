"""What several tests need and no single one owns."""

import asyncio
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from contracts.names import Attribute


async def register_search_attributes(address: str) -> None:
    """What a worker does at its start."""
    await register_attributes_at(await Client.connect(address))


async def register_attributes_at(client: Client) -> None:
    """The same, at a server that is connected to already."""
    kinds = {
        attribute.value: IndexedValueType.INDEXED_VALUE_TYPE_BOOL
        if attribute is Attribute.NEEDS_HUMAN
        else IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        for attribute in Attribute
    }
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace="default", search_attributes=kinds)
    )


async def register_namespace(address: str, namespace: str) -> None:
    """A namespace of its own: the names of task queues are fixed, so that is how tests keep out of each other's way."""
    client = await Client.connect(address)
    retention = Duration()
    retention.FromTimedelta(timedelta(days=3))
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=retention)
    )
    for _ in range(100):  # the server's caches learn of it after a while
        try:
            await (await Client.connect(address, namespace=namespace)).count_workflows()
        except RPCError:
            await asyncio.sleep(0.2)
        else:
            return
    raise AssertionError(f"namespace {namespace} never came to be")
