"""MLflow: the client, its worker process, the champion gate and the logged model."""
