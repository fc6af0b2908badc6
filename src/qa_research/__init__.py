"""A laboratory in which a person watches BERT learn to answer questions."""
