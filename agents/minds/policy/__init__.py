"""Built-in minds without a language model: they turn knobs and use what neighbours published."""
