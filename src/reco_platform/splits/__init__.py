"""Split ratings into train, validation and test folds, and read the rows of a fold."""
