"""Users, their sessions and keys, and the audit trail: what the plugins for them, and the command line, stand on.

No plugin itself: it works on whatever storage it is handed, and but for `web` it knows no request.
"""
