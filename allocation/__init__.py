"""Algorithm 1 of the RRM paper and its relatives as pure functions: the controller runs them, the simulator too."""
