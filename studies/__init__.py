"""The shipped studies: TOML files beside this one."""
