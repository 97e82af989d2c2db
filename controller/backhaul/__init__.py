"""The IP network between gateways and controller, as OpenFlow: who may send, how much, and what is up."""
