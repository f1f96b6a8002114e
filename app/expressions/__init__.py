"""`{expressions}`: JMESPath over the scope, parsed once, written into paths, queries, headers and JSON by the rules of each place."""
