"""How given exemplars represent the points: shares, runner-ups, outliers, and a ranking."""
