"""The MCP server: any client of that protocol as one of a run's researchers."""
