"""What surrounds the pages: the rail with their buttons, help, the sheet of shortcuts."""
