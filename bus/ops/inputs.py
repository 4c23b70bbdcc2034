"""`--input agency=folder`: where files of an agency are read from for this run, checked before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bus.errors import ConfigurationError, Problem


@dataclass(frozen=True, slots=True)
class Input:
    """One folder for the files of one source of one agency. `source` is empty when the agency has only one file source."""

    agency: str
    source: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.agency}{'/' if self.source else ''}{self.source}={self.folder}"


def parse_inputs(texts: Sequence[str], sources: Mapping[str, Collection[str]]) -> tuple[Input, ...]:
    """The inputs that the texts mean; `sources` are the file sources of each known agency.

    Raises one `ConfigurationError` with everything that is wrong in any of them, each with what is allowed.
    """
    inputs: list[Input] = []
    problems: list[Problem] = []
    for text in texts:
        found = _parse(text, sources)
        if isinstance(found, Problem):
            problems.append(found)
        elif any((found.agency, found.source) == (other.agency, other.source) for other in inputs):
            problems.append(Problem(f"--input {text}", "this source already has an input; put the files into one folder"))
        else:
            inputs.append(found)
    if problems:
        raise ConfigurationError(problems)
    return tuple(inputs)


def _parse(text: str, sources: Mapping[str, Collection[str]]) -> Input | Problem:
    where = f"--input {text}"
    name, separator, folder = text.partition("=")
    if not separator or not name or not folder:
        return Problem(where, "expected AGENCY=FOLDER or AGENCY/SOURCE=FOLDER, for example --input dlh=exports/")
    agency, _, source = name.partition("/")
    if agency not in sources:
        return Problem(
            where, f"unknown agency {agency!r}; known are: {', '.join(sorted(sources)) or 'none'} (others come with --overlay DIR)"
        )
    known = sorted(sources[agency])
    if not known:
        return Problem(where, f"agency {agency} has no source that reads files")
    if source and source not in known:
        return Problem(where, f"unknown source {source!r} of {agency}; its file sources are: {', '.join(known)}")
    if not source and len(known) > 1:
        return Problem(where, f"agency {agency} has several file sources; say which: {', '.join(f'{agency}/{each}=…' for each in known)}")
    path = Path(folder).expanduser().resolve()
    if not path.exists():
        return Problem(where, f"there is no folder {path}")
    if not path.is_dir():
        return Problem(where, f"{path} is a file; give the folder that holds it")
    return Input(agency, source or known[0], path)
