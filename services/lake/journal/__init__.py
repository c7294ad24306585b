"""The journal: every committed change of the lake, in order, with the actor and the trace that caused it."""
