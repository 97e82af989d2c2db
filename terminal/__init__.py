"""What every command shares: one-line errors, exit status, JSON for machines, progress on a terminal."""
