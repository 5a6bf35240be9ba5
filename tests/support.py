"""What several tests need and no single one owns."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client

from contracts.names import Attribute


async def register_search_attributes(address: str) -> None:
    """What a worker does at its start."""
    client = await Client.connect(address)
    kinds = {
        attribute.value: IndexedValueType.INDEXED_VALUE_TYPE_BOOL
        if attribute is Attribute.NEEDS_HUMAN
        else IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        for attribute in Attribute
    }
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace="default", search_attributes=kinds)
    )
