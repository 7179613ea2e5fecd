"""What was accepted is done: windows are analysed and stored, uploads are read."""
