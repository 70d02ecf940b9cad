"""The ways to attack: each file is one kind of trial, with its criterion of success."""
