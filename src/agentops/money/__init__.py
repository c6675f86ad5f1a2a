"""What calls of models may use up: held while a call is under way, spent once it has ended, and never twice.

Money is micro-dollars. A purse is any limit that is used up: money of a day, tokens of a minute, a user's credits.
"""
