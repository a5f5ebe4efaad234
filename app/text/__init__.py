"""Text as blocks: Markdown, code, thinking."""
