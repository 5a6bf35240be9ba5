"""The JSON schema of a plan, for editors: docs/plan.schema.json, and `ferry plan --schema`."""

import json
from typing import Any

from contracts.plan import Plan
from contracts.request import MigrateVmRequest
from starter.planning.checking import OURS


def plan_schema() -> dict[str, Any]:
    """Of the model, with the fields of a request where the plan takes some of them."""
    schema = Plan.model_json_schema(mode="validation")
    request = MigrateVmRequest.model_json_schema(mode="validation")
    defs = {**request.pop("$defs", {}), **schema["$defs"]}
    fields = {name: each for name, each in request["properties"].items() if name not in OURS}
    defs["RequestFields"] = {
        "type": "object",
        "description": "Fields of the request of one migration.",
        "additionalProperties": False,
        "properties": fields,
    }
    for place in (schema["properties"]["defaults"], defs["Member"]["properties"]["request"]):
        place.pop("additionalProperties", None)
        place.pop("type", None)
        place["$ref"] = "#/$defs/RequestFields"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A plan of Ferry",
        **{key: value for key, value in schema.items() if key not in ("$defs", "title")},
        "$defs": dict(sorted(defs.items())),
    }


def schema_text() -> str:
    """As it is published."""
    return json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"
