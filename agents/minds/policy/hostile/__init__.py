"""Built-in minds that do harm, for studies; no abler than any agent: they answer with actions."""
