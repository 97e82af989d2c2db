"""Simulation of LPWAN access at scale: traffic, policies, reception, and the closed forms they are held against."""
