"""Dialogs that show an export or import going on."""
