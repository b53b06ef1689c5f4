"""What a receiver is told, in whose words: one module per format, all made from the same journalled event."""
