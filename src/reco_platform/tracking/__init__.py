"""MLflow: the client, its worker process, and the model that is logged."""
