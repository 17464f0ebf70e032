"""Graphs from files and tables to disk, in bounded memory."""
