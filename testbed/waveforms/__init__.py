"""What devices and interferers put on the air, from bits to pieces of chirps that a mixer can place anywhere."""
