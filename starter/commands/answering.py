"""`ferry reject` and `ferry retry`: a human's answer to a migration that waits for one."""

from typing import Annotated

import typer

from contracts.names import Message
from starter.commands._telling import tell_workflow
from starter.options import Config, Note, OutputAs, Source, Vm, Who
from starter.output import Output


def reject(
    vm: Vm,
    who: Who = None,
    note: Note = "",
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Say no to the cutover, or take a yes back, until power-off begins. Delta passes go on.

    \b
    Example:
      ferry reject web01 --note "month-end closing"
    """
    from contracts.migration import Reject
    from starter.sending import speaker

    said = Reject(who=speaker(who), note=note)
    tell_workflow(Message.REJECT, said, vm=vm, source=source, config=config, output=output)


def retry(
    vm: Vm,
    who: Who = None,
    note: Note = "",
    accept: Annotated[bool, typer.Option("--accept", help="Take it as it is: a smoke test that did not pass.")] = False,
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Try again what needed a human, once its cause is mended (`ferry status VM` names it).

    \b
    Example:
      ferry retry web01 --note "freed 200 GiB on local-ext"
      ferry retry web01 --accept --note "no ssh there, by design"
    """
    from contracts.migration import Retry
    from starter.sending import speaker

    said = Retry(who=speaker(who), note=note, accept=accept)
    tell_workflow(Message.RETRY, said, vm=vm, source=source, config=config, output=output)
