"""Display of objects: cards in notebooks, progress bars, colours."""
