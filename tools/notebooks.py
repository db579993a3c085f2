"""Run the notebooks of notebooks/*.py from scratch and write them beside their sources, outputs and all.

python tools/notebooks.py [NAME ...]         run them
python tools/notebooks.py --text [NAME ...]  bring changed text over, where no code has changed
"""

import os
import re
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def run(source: Path, small: bool = False) -> nbformat.NotebookNode:
    """The notebook of a source, run in a kernel of this Python; `small` asks for a small budget."""
    notebook = jupytext.read(source)
    environment = {
        **os.environ,
        "LIFEWORTH_SMALL": "1" if small else "0",
        "PYTHONWARNINGS": "ignore:IProgress not found",
    }
    client = NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(source.parent)}}
    )
    client.execute(env=environment)
    return notebook


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """What would differ from run to run without saying anything is taken out."""
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":  # a bar of progress that has gone leaves an empty line
            cell.outputs = [one for one in cell.outputs if one.get("data", {}).get("text/plain", "-") != ""]
        for output in cell.get("outputs", ()):
            output.get("metadata", {}).clear()
            for kind, content in output.get("data", {}).items():
                if isinstance(content, str):
                    output.data[kind] = re.sub(r"(?<= at )0x[0-9a-f]+", "0x0", content)
    notebook.metadata.pop("language_info", None)
    notebook.metadata.get("jupytext", {}).get("text_representation", {}).pop("jupytext_version", None)
    return notebook


def with_text_of(source: Path) -> nbformat.NotebookNode:
    """The notebook as it was run, under the text of its source."""
    ran, wanted = nbformat.read(source.with_suffix(".ipynb"), as_version=4), jupytext.read(source)
    codes = [[cell.source for cell in one.cells if cell.cell_type == "code"] for one in (ran, wanted)]
    if codes[0] != codes[1]:
        sys.exit(f"{source.name}: its code has changed; run it.")
    outputs = iter([cell for cell in ran.cells if cell.cell_type == "code"])
    ran.cells = [next(outputs) if cell.cell_type == "code" else cell for cell in wanted.cells]
    return ran


def main(arguments: list[str]) -> None:
    """Run those named, or all; or bring their text over."""
    names = [name for name in arguments if name != "--text"]
    for source in sorted(NOTEBOOKS.glob("*.py")):
        if not names or source.stem in names:
            made = with_text_of(source) if "--text" in arguments else run(source)
            nbformat.write(tidy(made), source.with_suffix(".ipynb"))
            print(source.with_suffix(".ipynb").name)


if __name__ == "__main__":
    main(sys.argv[1:])
