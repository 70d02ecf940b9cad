"""Published models of how networks affect collective search, and what they have to come to.

Each model is a module with a frozen `Parameters`, a `simulate` that takes any of them, and `cases`,
which compares it with print. `community.classics.catalogue` knows them by name;
`community.classics.case` says when a case passes. Importing this package costs nothing: numba is
compiled where a model is first run.
"""
