"""From a study file to a plan: strict reading, merging, checking, expansion, identity, fairness."""
