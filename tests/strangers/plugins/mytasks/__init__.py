"""Tasks of a new author, written from docs/write_a_task.md."""
