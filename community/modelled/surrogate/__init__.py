"""Surrogates: what an experiment of a real task would come to, learnt from its ledgers.

`ledgers` reads what was measured, `fit` learns from it (scikit-learn and scipy are used there and
nowhere else), `model_file` keeps the outcome as JSON, and `task` answers from it with numpy alone.
"""
