"""Brings everything that one database holds into another of another kind, while the first is being served.

Events, the audit trail and the ledger only ever grow, so they are copied once, in the order of their ids. All other
tables are compared as a whole at the end of each pass. What stands nowhere in the target is never made up, and what is
different is never let pass: the last pass reads both sides again, and compares every row.
"""
