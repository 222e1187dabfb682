"""The knowledge base: takes signed webhooks, keeps a graph that shows where each fact came from, and answers."""
