"""A plan from an inventory: a new file, or one that is there brought up to date."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client

from contracts.assessment import Assessed
from contracts.errors import FerryError
from starter.assessment.writing import save
from starter.planning.looking import Choice, Looked, choose, look
from starter.planning.proposing import Proposal, Waves, propose
from starter.planning.reading import Draft, draft_of
from starter.planning.writing import member_lines, new_text, with_more, with_seen


@dataclass
class Wanted:
    """What was asked for. ``path`` None: to be printed. ``rows``: of a list. ``said``: keys of a new plan."""

    path: Path | None
    choice: Choice
    rows: list[dict[str, Any]]
    waves: Waves
    auto: bool = False
    said: dict[str, Any] = field(default_factory=dict)

    def wave(self, name: str) -> dict[str, Any]:
        """As it is written."""
        return {"name": name, "approval": "auto"} if self.auto else {"name": name}


async def make(client: Client, wanted: Wanted) -> tuple[Draft, dict[str, str]]:
    """A new plan, written where it has a file.

    Raises:
        FerryError: a name that nobody has; what the worker met.
    """
    said, proposal = wanted.said, await _proposed(client, wanted, None)
    names = proposal.waves or ["1"]
    members = [member_lines(member, comment) for member, comment in proposal.members]
    order = ("fleet", "source", "target", "rate", "limits", "failure_budget", "defaults")
    text = new_text({key: said.get(key) for key in order}, [wanted.wave(name) for name in names], members)
    return await _pinned(client, draft_of(wanted.path or Path("-"), text), wanted)


async def bring_up_to_date(client: Client, draft: Draft, wanted: Wanted) -> tuple[Draft, dict[str, str]]:
    """The same plan with new pins, and with the VMs of the choice that it has not, at the end of its list.

    Returns:
        The plan, and a sentence for each VM that is not there any more.
    """
    if wanted.choice or wanted.rows:
        proposal = await _proposed(client, wanted, draft)
        members = [member_lines(member, comment) for member, comment in proposal.members]
        draft = with_more(draft, [wanted.wave(name) for name in proposal.waves], members)
    return await _pinned(client, draft, wanted)


async def _proposed(client: Client, wanted: Wanted, draft: Draft | None) -> Proposal:
    plan = draft.plan if draft is not None else None
    if plan is not None:
        said = {"source": plan.source, "target": plan.target, **plan.defaults}
    else:
        said = {"source": wanted.said["source"], "target": wanted.said["target"], **wanted.said["defaults"]}
    rows = await choose(client, said, wanted.choice) if wanted.choice else []
    listed: dict[str, Mapping[str, Any]] = {}
    if wanted.rows:
        for row in wanted.rows:
            listed[row.get("machine_id") or row["vm"]] = row
        rows = _once([*rows, *await choose(client, said, Choice(vms=tuple(listed)))])
    return propose(rows, wanted.waves, plan=plan, said=listed)


def _once(rows: list[Assessed]) -> list[Assessed]:
    return list({(row.source, row.ref): row for row in rows}.values())


async def _pinned(client: Client, draft: Draft, wanted: Wanted) -> tuple[Draft, dict[str, str]]:
    found = await look(client, draft.plan)
    seen, before = found.seen, draft.plan.seen
    if before is not None and before == seen.model_copy(update={"at": before.at}):
        seen = before  # nothing is otherwise: Git has nothing to show
    text = with_seen(draft.text, draft.region, seen)
    path = wanted.path or Path("-")
    draft = draft_of(path, text)
    if wanted.path is not None:
        if wanted.path.exists() and wanted.path.is_dir():
            raise FerryError("request.invalid", f"{path} is a folder")
        save(wanted.path, text)
    return draft, _lacks(found)


def _lacks(found: Looked) -> dict[str, str]:
    gone = dict.fromkeys(found.gone, "it is gone from the source: take it out of the plan")
    several = {
        vm: f"several VMs are called so: name it by its instanceUuid, {' or '.join(ids[:5])}"
        for vm, ids in found.several.items()
    }
    return {**gone, **several}
