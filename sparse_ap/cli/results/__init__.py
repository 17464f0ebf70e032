"""Results in files: tables, arrays, and columns of AnnData stores."""
