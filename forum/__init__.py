"""How researchers talk: messages, visibility, boards, the embedded broker.

Knows no jobs, no scores and no agents.
"""
