"""The Channel Status Database: what sensors saw, what is leased, what happened. Redis, and an in-memory twin."""
