"""The project's tests: a package, so that none that another distribution installs under this name is taken for it."""
