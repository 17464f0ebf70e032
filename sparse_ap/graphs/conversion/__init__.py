"""Conversion of graphs from files and tables to graphs on disk, in bounded memory."""
