"""The attacks themselves, grouped by what they go for; a few lines each, for anybody to read."""
