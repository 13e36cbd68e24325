"""The only place where data, models, training, evaluation and cost meet: a spec goes in, a record comes out."""
