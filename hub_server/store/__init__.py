"""The hub's database: schema, migrations, and one module of statements per subject; no HTTP and no rules."""
