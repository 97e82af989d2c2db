"""What to build, offline: simulation, analytical models, resource pools, traffic grouping. Results leave as files."""
