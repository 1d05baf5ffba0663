"""Dotscience: Git for executions."""
