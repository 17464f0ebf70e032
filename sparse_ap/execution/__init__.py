"""Execution of passes: blocks of rows, executors, plans and memory."""
