"""Weak parts: for each block, what a hurried builder would have put in its place.

Only `community.attack.lab` uses them, to show that an attack succeeds where its block is missing.
"""
