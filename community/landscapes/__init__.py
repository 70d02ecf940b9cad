"""Landscapes that searchers climb: pure functions of numpy, with the best of each known exactly."""
