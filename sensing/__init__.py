"""IQ in, channel reports out: sources behind one door, pure signal processing, detection with known errors."""
