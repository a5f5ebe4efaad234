"""What is seen: windows, dialogs and widgets.  They are given services and hold no logic of their own."""
