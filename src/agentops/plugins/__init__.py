"""The plugins that ship with the package; none imports another, and none is privileged."""
