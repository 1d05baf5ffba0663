"""Backups of a hub: a folder of packs, and beside it the database and the secrets of each backup."""
