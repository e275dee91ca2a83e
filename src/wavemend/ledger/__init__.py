"""The only truth about what was decided and done: tables, migrations, audit chain, queries."""
