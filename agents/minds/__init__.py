"""What decides for an agent: built-in policies, Optuna samplers; later models and coding agents."""
