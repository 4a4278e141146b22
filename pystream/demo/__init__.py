"""`pystream demo`: a year of flights out of New York, replayed in the order in which they left."""
