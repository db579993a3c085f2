"""What the documentation makes of the code: the reference of commands and job files, and mathematics as MathML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

_COMMON = {"help", "install_completion", "show_completion"}
GENERATED = Path(__file__).parent / "reference" / "generated"


# ---- commands -------------------------------------------------------------------------------------------------


def _option(parameter: Any) -> str:
    """An entry of a definition list for an option or an argument."""
    text = parameter.help or ""
    if parameter.param_type_name == "argument":
        return f"`{(parameter.metavar or parameter.name).upper()}`\n: {text or 'Required.'}\n"
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    default = parameter.default
    plain = isinstance(default, (str, int, float)) and not isinstance(default, bool)
    after = f" Default: `{default}`." if plain and default != "" else ""
    return f"`{names}`\n: {text}{after}\n"


def _command(command: Any, name: str, depth: int) -> list[str]:
    """Lines about a command, and about those below it."""
    lines = [f"{'#' * depth} `{name}`", "", (command.help or "").strip(), ""]
    parameters = [one for one in command.params if not getattr(one, "hidden", False) and one.name not in _COMMON]
    arguments = [(one.metavar or one.name).upper() for one in parameters if one.param_type_name == "argument"]
    below = getattr(command, "commands", {})
    if not below:
        lines += ["```text", " ".join([name, "[OPTIONS]", *arguments]), "```", ""]
    lines += [_option(one) for one in parameters]
    for word, one in below.items():
        lines += _command(one, f"{name} {word}", depth + 1)
    return lines


def commands() -> str:
    """The reference of the command line, as Markdown."""
    from lifeworth.cli import app

    return "\n".join(_command(typer.main.get_command(app), "lifeworth", 2)) + "\n"


def write_pages(app: Sphinx) -> None:
    """Write what is generated before Sphinx looks for pages."""
    GENERATED.mkdir(parents=True, exist_ok=True)
    (GENERATED / "commands.md").write_text(commands(), encoding="utf-8")


# ---- mathematics ----------------------------------------------------------------------------------------------


def _math(writer: HTML5Translator, node: nodes.Element, block: bool) -> None:
    source = node.astext()
    made = tex2mathml(source, as_block=block)
    body = "".join(made) if isinstance(made, list) else str(made)
    writer.body.append(f'<div class="math">{body}</div>' if block else body)
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", write_pages)
    app.add_html_math_renderer(
        "mathml",
        (lambda writer, node: _math(writer, node, False), None),
        (lambda writer, node: _math(writer, node, True), None),
    )
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
