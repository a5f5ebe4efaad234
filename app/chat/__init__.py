"""What a conversation does, without a widget."""
