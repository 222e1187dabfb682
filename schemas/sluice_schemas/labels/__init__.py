"""Labels: checked against schema and text, given to training or to the judging once and for ever, kept in SQL."""
