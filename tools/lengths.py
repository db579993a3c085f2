"""List long functions and files: `make lengths`. It lists and refuses nothing; tests hold the limit of a file."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FUNCTION, FILE = 60, 350
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def lines_of_code(text: str, node: ast.AST | None = None) -> int:
    """Number of lines of a text, or of a node of it, that are neither blank nor part of a docstring or a comment."""
    lines = text.splitlines()
    first, last = (1, len(lines)) if node is None else (node.lineno, node.end_lineno)
    skipped: set[int] = set()
    for inner in ast.walk(ast.parse(text) if node is None else node):
        documented = isinstance(inner, (ast.Module, ast.ClassDef, *_FUNCTIONS))
        if documented and ast.get_docstring(inner, clean=False) is not None:
            skipped |= set(range(inner.body[0].lineno, inner.body[0].end_lineno + 1))
    numbered = ((number, lines[number - 1].strip()) for number in range(first, last + 1))
    return sum(1 for number, line in numbered if line and number not in skipped and line[0] != "#")


def long_parts(folder: Path) -> Iterator[tuple[int, str]]:
    """Lines of code and name of what is longer than the limits."""
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name, lines = str(path.relative_to(folder)), lines_of_code(text)
        if lines > FILE:
            yield lines, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, _FUNCTIONS) and (lines := lines_of_code(text, node)) > FUNCTION:
                yield lines, f"{name}::{node.name}"


if __name__ == "__main__":
    for lines, name in sorted(long_parts(Path(__file__).parents[1] / "src" / "lifeworth"), reverse=True):
        sys.stdout.write(f"{lines:4}  {name}\n")
