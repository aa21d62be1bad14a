"""The service under load: many clients, one client, and what HTTP adds."""
