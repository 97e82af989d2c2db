"""LoRaWAN 1.0.3 / 1.0.4 class A in EU868: frames, keys, sessions, and the commands that move a device."""
