"""`airshed plan`: how much a site can carry. Analytical models, each beside an exact or simulated truth."""
