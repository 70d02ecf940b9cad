"""What verdicts mean together: noise, decisions, ranking, credit. Pure functions, outside the lock.

The lock (`scoring.lock`) covers what makes a number; nothing here can change one.
"""
