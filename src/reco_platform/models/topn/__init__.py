"""The best N movies of each user, exactly."""
