"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import lifeworth  # noqa: E402

project = "lifeworth"
author = "The lifeworth developers"
copyright = author  # noqa: A001  # the name that Sphinx asks for
version = release = lifeworth.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "reference_pages",
]
exclude_patterns = ["_build", "reference/generated"]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
nitpicky = False

# Notebooks are committed with their outputs; nothing runs while the documentation is built.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "lifeworth"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["lifeworth.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "github_url": "https://github.com/lifeworth/lifeworth",
    "navbar_align": "left",
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
# Mathematics as MathML, which browsers show by themselves: the pages load nothing from the network.
html_math_renderer = "mathml"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def _bring(source: Path, target: Path) -> None:
    """Copy a file of the project into the documentation, if it has changed."""
    if not target.exists() or source.read_bytes() != target.read_bytes():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


for notebook in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
    _bring(notebook, HERE / "notebooks" / notebook.name)
for picture in sorted((HERE.parent / "models" / "cdnow" / "1").glob("*.png")):
    _bring(picture, HERE / "_static" / picture.name)
