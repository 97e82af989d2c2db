"""Periodic devices on the fewest shared lines: heuristics of the paper, exact models, and a near-optimal default.

Source: "IMSI Sharing based Dynamic and Flexible Traffic Aggregation for Massive IoT Networks", as mended in
docs/grouping.md. All times are whole slots; slots count from 0; a timeline is cyclic.
"""
