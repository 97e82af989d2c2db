"""Which devices on a network are things, whose they are, and what they cost it.

The population view of "Where Things Roam": network records -> daily devices-catalogue -> roaming labels -> classes.
"""
