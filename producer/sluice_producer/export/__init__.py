"""Results for other programs: tables, graphs, statements."""
