"""The screens, one file each: what is on it, which keys it has, which picture it asks for."""
