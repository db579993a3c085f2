"""The way to the posterior: the only room that knows PyMC, and it imports it where it is used."""
