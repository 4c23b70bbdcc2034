"""D rules: what is written about the bus is what the bus is. They hold for a checkout; an installed bus has no documents to compare."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bus.errors import Problem
from bus.settings import ROOT
from bus.testing.reference import page
from bus.testing.rule import Case, Rule, cases_of
from bus.testing.workspace import Workspace

_SECTIONS = ["Status", "Context", "Decision", "Consequences", "Rejected"]
_SNIPPET = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Documents:
    """A checkout's documents and the page that its code would make."""

    root: Path
    reference: Callable[[], str]


def reference_is_current(subject: Documents) -> Iterable[Problem]:
    path = subject.root / "deploy" / "reference.md"
    written = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    wanted = subject.reference().splitlines()
    if written != wanted:
        missing = next((line for line in wanted if line not in written), "") or next(
            (line for line in written if line not in wanted), "another order"
        )
        yield Problem(str(path), f"is not what the code says (first difference: {missing}); run `make reference`")


def snippets_name_what_exists(subject: Documents) -> Iterable[Problem]:
    path = subject.root / "README.md"
    targets = set(re.findall(r"^([a-z]+):", (subject.root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line in commands_of(path):
        words = line.split()
        if words[0] == "make":
            for target in words[1:]:
                if "=" not in target and target not in targets:
                    yield Problem(str(path), f"`{line}`: the Makefile has no target {target!r}")
        elif words[0] not in _PROGRAMS:
            yield Problem(str(path), f"`{line}`: begins with {words[0]!r}; a reader has {', '.join(sorted(_PROGRAMS))}")


#: What a snippet may call: what set-up makes, what any Unix has, and what the text beside it names.
_PROGRAMS = frozenset({"make", ".venv/bin/bus", "bus", "export", "cd", "git", "curl", "kcat", "cat", "mkdir", "cp", "ls"})


def commands_of(path: Path) -> Iterator[str]:
    """The command lines in a document's shell snippets, without prompts, comments and continuations."""
    for block in _SNIPPET.findall(path.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"\s+#.*$", "", line).strip().removeprefix("$ ")
            if command and not command.startswith("#"):
                yield re.sub(r"^([A-Z_]+=\S+\s+)+", "", command)


def exports_are_complete(subject: Documents) -> Iterable[Problem]:
    for path in sorted((subject.root / "bus").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        declared = [
            node
            for node in tree.body
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
        ]
        for node in declared:
            names = list(ast.literal_eval(node.value))
            if lacking := sorted(_public(tree, package=path.name == "__init__.py") - set(names)):
                yield Problem(f"{path}:{node.lineno}", f"__all__ lacks {', '.join(lacking)}")


def _public(tree: ast.Module, *, package: bool) -> set[str]:
    """Names that a module defines, and in a package's `__init__` those that it takes from its modules (ruff sorts the list)."""
    names = set()
    for node in tree.body:
        if package and isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bus"):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


def decisions_have_the_form(subject: Documents) -> Iterable[Problem]:
    numbers: set[str] = set()
    for path in sorted((subject.root / "bus" / "decisions").glob("[0-9]*.md")):
        lines = path.read_text(encoding="utf-8").splitlines()
        number = path.name[:4]
        if number in numbers or not path.name.startswith(f"{number}-") or not lines or not lines[0].startswith(f"# {number}. "):
            yield Problem(str(path), "file name and title begin with the decision's number, four digits, which no other has")
        numbers.add(number)
        if (sections := [line[3:] for line in lines if line.startswith("## ")]) != _SECTIONS:
            yield Problem(str(path), f"has the sections {', '.join(sections)}; a decision has {', '.join(_SECTIONS)}")
        if len(lines) > 60:
            yield Problem(str(path), f"has {len(lines)} lines; a decision has 60 at most")


RULES: tuple[Rule[Documents], ...] = (
    Rule("D01", "every setting, metric, indicator and rule is in deploy/reference.md", reference_is_current),
    Rule("D02", "the README's snippets name commands and targets that exist", snippets_name_what_exists),
    Rule("D03", "an __all__ is complete", exports_are_complete),
    Rule("D05", "a decision has its own number, five sections and 60 lines at most", decisions_have_the_form),
)


def cases(workspace: Workspace) -> Iterator[Case]:
    """The checkout, when this is one."""
    if not (ROOT / "pyproject.toml").is_file() or workspace.agency is not None:
        return
    own = Workspace(type(workspace.settings)())

    def reference() -> str:
        from bus.testing.kit import rules  # noqa: PLC0415 (the kit imports this module)

        return page(own, rules())

    yield from cases_of(RULES, {"docs": Documents(ROOT, reference)})
