"""`ferry pause`, `resume`, `sync-now`: the copying's pace, while the VM runs."""

from contracts.names import Message
from starter.commands._telling import tell_workflow
from starter.options import Config, Note, OutputAs, Source, Vm, Who
from starter.output import Output


def pause(
    vm: Vm,
    who: Who = None,
    note: Note = "",
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Cut the running pass within a second, thaw the source, and wait for resume. Nothing is sent again.

    \b
    Example:
      ferry pause web01 --note "backup window"
    """
    from contracts.migration import Steer
    from starter.sending import speaker

    said = Steer(who=speaker(who), note=note)
    tell_workflow(Message.PAUSE, said, vm=vm, source=source, config=config, output=output)


def resume(
    vm: Vm,
    who: Who = None,
    note: Note = "",
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Go on after a pause: the next pass sends what is owed and what changed.

    \b
    Example:
      ferry resume web01
    """
    from contracts.migration import Steer
    from starter.sending import speaker

    said = Steer(who=speaker(who), note=note)
    tell_workflow(Message.RESUME, said, vm=vm, source=source, config=config, output=output)


def sync_now(
    vm: Vm,
    who: Who = None,
    note: Note = "",
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Begin the next delta pass at once instead of at its hour.

    \b
    Example:
      ferry sync-now web01
    """
    from contracts.migration import Steer
    from starter.sending import speaker

    said = Steer(who=speaker(who), note=note)
    tell_workflow(Message.SYNC_NOW, said, vm=vm, source=source, config=config, output=output)
