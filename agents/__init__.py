"""Who thinks: roles, observations, actions, minds. Knows the board and the Lab, no ledger."""
