"""Still pictures of conversations in time; the only module that imports matplotlib."""
