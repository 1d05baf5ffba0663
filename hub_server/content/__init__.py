"""Where the bytes of packs are kept; the database only knows their places."""
