"""JMESPath templates: parsed once, bound by the place where they stand."""
