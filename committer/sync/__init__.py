"""The journal of what was noticed, committed and pushed, and the push itself."""
