"""The radio twin: a whole site on one machine, from a scene file: its map, its air, its devices and its gateways."""
