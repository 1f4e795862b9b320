"""What leaves the tool: JSON, tables and text, shared by every face."""
