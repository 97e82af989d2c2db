"""The nouns everyone shares: units, sub-bands, subchannels, airtime, duty cycle, energy. Imports no other room."""
