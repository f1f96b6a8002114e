"""What a person may write in a catalog: its schema, loading with places, and all faults at once."""
