"""`ferry pause`, `resume`, `sync-now`, `limit`: the copying's pace, while the VM runs."""

from typing import Annotated

import typer

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
    from contracts.messages import Steer
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
    from contracts.messages import Steer
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
    from contracts.messages import Steer
    from starter.sending import speaker

    said = Steer(who=speaker(who), note=note)
    tell_workflow(Message.SYNC_NOW, said, vm=vm, source=source, config=config, output=output)


def limit(
    vm: Vm,
    bandwidth: Annotated[
        str | None, typer.Argument(metavar="LIMIT", help='50M, off, or by the clock: "08:00,50M 19:00,off".')
    ] = None,
    window: Annotated[
        list[str] | None,
        typer.Option(metavar="WHEN", help='When the cutover may be, in place of what was said; repeatable; or "off".'),
    ] = None,
    who: Who = None,
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Copy this VM no faster than that, from the next second on: bytes a second, K, M and G as powers of 1024.
    With --window: when its cutover may be, from now on.

    \b
    Examples:
      ferry limit web01 50M
      ferry limit web01 off
      ferry limit web01 "Mon-08:00,20M Fri-19:00,off"
      ferry limit web01 --window "Sat 22:00-02:00 Europe/Berlin"

    The clock is the worker's. The limit also holds in the cutover: a slow final pass is a long downtime.
    """
    from contracts.messages import SetLimits
    from starter.sending import speaker

    windows = [] if window == ["off"] else window
    said = SetLimits.model_validate({"who": speaker(who), "bandwidth": bandwidth, "windows": windows})
    tell_workflow(Message.SET_LIMITS, said, vm=vm, source=source, config=config, output=output)
