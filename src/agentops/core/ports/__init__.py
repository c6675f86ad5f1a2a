"""The eight kinds of plugin, one file each; `core.plugin` says what they have in common."""
