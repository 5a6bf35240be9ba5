"""A look at the target's console, for the smoke test. Nothing of it fails a migration: what cannot be read is noted."""

from contracts.console import Seen, diagnosed, plain, tail
from contracts.errors import FerryError
from disks.store import Store
from platforms.ports import Target

PLACE = "console"
"""Where in the migration's place of the store."""


def seen_at(target: Target, store: Store, migration: str, vm: str, name: str) -> Seen:
    """What it shows; a picture, and the whole text, go into the store and never into a history.

    Args:
        name: of the file, the same for each attempt, so that a second one writes over the first.
    """
    try:
        raw, picture = target.console(vm)
        shelf = store.disk(migration, PLACE)
        if picture:
            shelf.write(f"{name}.png", picture)
            return Seen(picture=f"migrations/{migration}/{PLACE}/{name}.png")
        text = plain(raw)
        shelf.write(f"{name}.txt", text.encode())
        quiet = "" if text else "the console said nothing while it was read"
        return Seen(text=tail(text), diagnosis=diagnosed(text), note=quiet)
    except FerryError as error:
        return Seen(note=f"{error.code}: {error.message}")
