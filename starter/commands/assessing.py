"""`ferry assess`: what stands in the way of moving a whole inventory."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import FerryError
from starter.commands.starting import networks_of
from starter.options import Config, Site, Source
from starter.output import Output, put, say, write

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.assessment import Assessment
    from starter.settings import Settings


class Form(StrEnum):
    """How an assessment is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"
    YAML = "yaml"


def assess(
    vms: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VM]...", help="Names, globs ('web*'), instanceUuids or morefs; default: all."),
    ] = None,
    source: Source = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Name of [targets.NAME]; default: the only one, else none.")
    ] = None,
    sr: Annotated[str | None, typer.Option("--sr", help="SR by name or uuid; default: the target's.")] = None,
    network: Annotated[
        list[str] | None, typer.Option("--network", metavar="A=B", help="Source network to target network; repeatable.")
    ] = None,
    rvtools: Annotated[
        Path | None,
        typer.Option(
            "--rvtools", help="An export of RVTools: xlsx, a folder of CSVs or a zip of them. No worker needed."
        ),
    ] = None,
    output: Annotated[
        Form | None, typer.Option("--output", "-o", help="The form; default: by the name of --out, else table.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to that file instead of stdout.")] = None,
    site: Site = None,
    config: Config = None,
) -> None:
    """Run the preflight checks over a whole inventory: which VMs are ready, which are not, and why.

    \b
    Examples:
      ferry assess                                   all VMs, against the only target
      ferry assess 'web*' --sr nvme -o json
      ferry assess --out inventory.html              one page with totals, to be mailed or printed
      ferry assess --rvtools export.xlsx -o csv      from a file: no vCenter, no worker

    \b
    A worker looks, in bulk; nothing is touched. Ends 0 when all was looked at, whatever was found: the verdicts
    are in the data (`-o json`: totals.blocked.machines).
    """
    from starter.assessment.writing import form_of, written
    from starter.views.assessment import assessment_view, summary_line

    form = Form(output or form_of(out))
    if rvtools is not None:
        found = _of_file(rvtools, vms or [], target=target, sr=sr, network=network, source=source)
    else:
        found = _live(vms or [], source, target, sr, networks_of(network or []), site, config)
    if out is not None:
        from starter.assessment.writing import save

        save(out, written(found, form))
        say(f"{summary_line(found).plain}\n{out} is written")
    elif form is Form.TABLE:
        put(found, Output.TABLE, lambda: assessment_view(found))
    else:
        write(written(found, form))


def _live(
    vms: list[str], source: str | None, target: str | None, sr: str | None, networks: dict[str, str],
    site: str | None, config: Path | None,
) -> "Assessment":  # fmt: skip
    from contracts.assessment import AssessRequest
    from starter.assessment.live import assess as assessed
    from starter.dialling import dial

    async def work(client: "Client", settings: "Settings") -> "Assessment":
        from_ = source or (settings.sources[0] if len(settings.sources) == 1 else None)
        to = target or (settings.targets[0] if len(settings.targets) == 1 else None)
        if to is None and (sr or networks):
            raise FerryError("request.invalid", "--sr and --network mean a target: name it with --target NAME")
        at = settings.site(site, from_)
        request = AssessRequest(source=from_, target=to, sr=sr, networks=networks, vms=tuple(vms), site=at)
        return await assessed(client, request)

    return dial(config, work)


def _of_file(path: Path, vms: list[str], **unfit: object) -> "Assessment":
    said = ", ".join(f"--{name}" for name, value in unfit.items() if value)
    if said:
        raise FerryError("request.invalid", f"--rvtools reads a file and no system: leave out {said}")
    from starter.assessment.rvtools import assess_export

    return assess_export(path, vms)
