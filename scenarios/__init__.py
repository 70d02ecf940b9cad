"""Data only: scenario files, study files, roles and task folders. No code lives here."""
