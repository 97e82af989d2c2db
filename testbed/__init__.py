"""The whole site on one machine: virtual dongle, rtl_tcp server, and what stands in for hardware in tests."""
