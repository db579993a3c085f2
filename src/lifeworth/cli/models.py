"""Commands of the registry: `lifeworth models list`, `show`, `compare`, `promote`, `roll-back`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from lifeworth.jobs import Registry

app = typer.Typer(help="The registry: versions of models, and which version is in use.", no_args_is_help=True)
Shelf = Annotated[Path, typer.Option(help="Folder of the registry.")]
ModelName = Annotated[str, typer.Argument(help="Name of a model in the registry.", show_default=False)]
Version = Annotated[int, typer.Argument(help="Version of the model.", min=1, show_default=False)]


@app.command("list")
def list_models(registry: Shelf = Path("models")) -> None:
    """List the models and their champions."""
    found = _registry(registry).models()
    if found.empty:
        typer.echo(f"There are no models in {registry}.")
    else:
        _show(found)


@app.command()
def show(name: ModelName, registry: Shelf = Path("models")) -> None:
    """Show the versions of a model."""
    _show(_registry(registry).show(name))


@app.command()
def compare(name: ModelName, version: Version, registry: Shelf = Path("models")) -> None:
    """Compare the parameters of a version with the champion's, and show how far they have moved."""
    _show(_registry(registry).compare(name, version).round(4).reset_index())


@app.command()
def promote(name: ModelName, version: Version, registry: Shelf = Path("models")) -> None:
    """Make a version the champion, unless it failed its diagnostics."""
    _registry(registry).promote(name, version)
    typer.echo(f"Version {version} is the champion of {name}.")


@app.command("roll-back")
def roll_back(name: ModelName, registry: Shelf = Path("models")) -> None:
    """Make the previous champion the champion again."""
    typer.echo(f"Version {_registry(registry).roll_back(name)} is the champion of {name} again.")


def _registry(folder: Path) -> Registry:
    from lifeworth.jobs import Registry

    return Registry(folder)


def _show(frame: pd.DataFrame) -> None:
    typer.echo(frame.to_string(index=False))
