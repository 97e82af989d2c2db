"""The operator's console: a page over the Channel Status Database, and the channel map on a terminal."""
