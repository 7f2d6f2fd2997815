"""Settings that admins change in the console. The environment takes precedence over them."""
