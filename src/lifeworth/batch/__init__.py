"""Jobs that nobody watches: from a source to a sink, whole or not at all."""
