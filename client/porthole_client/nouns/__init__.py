"""What can be done with each noun of the API, as steps (see `porthole_client.steps`)."""
