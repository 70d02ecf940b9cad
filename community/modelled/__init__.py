"""Modelled tasks: experiments whose outcome is computed, for runs in virtual time."""
