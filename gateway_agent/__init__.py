"""Gateway agents: they carry requests to the controller and turn its leases into what a device obeys."""
