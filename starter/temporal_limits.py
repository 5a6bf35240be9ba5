"""What a Temporal server says of itself: its version, and how long the namespace remembers closed workflows."""

from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client, RPCError


async def server_told(client: Client) -> str:
    """Such as ``1.29.1, remembers closed migrations for 90 days``; empty where it tells nothing."""
    told: list[str] = []
    try:
        info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
        if info.server_version:
            told.append(info.server_version)
        space = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
        kept: timedelta = space.config.workflow_execution_retention_ttl.ToTimedelta()
        if kept:
            told.append(f"remembers closed migrations for {kept.total_seconds() / 86400:g} days")
    except RPCError:
        pass
    return ", ".join(told)
