"""How long a service and the commands take until they have done what they were called for."""
