"""How objects show themselves: cards in notebooks, progress bars, colours."""
