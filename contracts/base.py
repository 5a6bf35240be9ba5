"""Two kinds of model: what we say to ourselves, and what a person writes."""

from pydantic import BaseModel, ConfigDict, ValidationError


class Contract(BaseModel):
    """Crosses the workflow/activity boundary, and is kept in workflow histories.

    So fields are only ever added, each with a default: today's worker reads what
    last month's wrote, and last month's ignores what it does not know yet.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


class Request(BaseModel):
    """Written by a person: a misspelt key is told at once, but not what was in it: it may be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def fields_told(error: ValidationError, whole: str, kinds: frozenset[str] = frozenset()) -> str:
    """``max_passes: Input should be …``, without the values, which may be long or secret.

    Args:
        whole: what is at fault where no field of it is.
        kinds: of a table of several kinds, which stand third in the place of a fault and are not told.
    """

    def place(loc: tuple[int | str, ...]) -> str:
        return ".".join(str(part) for at, part in enumerate(loc) if at != 2 or part not in kinds) or whole

    return "; ".join(f"{place(each['loc'])}: {each['msg'].removeprefix('Value error, ')}" for each in error.errors())
