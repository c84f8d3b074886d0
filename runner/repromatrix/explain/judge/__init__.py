"""Experiments and replays as files -> what they show. Needs no engine."""
