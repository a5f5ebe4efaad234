"""What helps to find out what went wrong, without what is nobody's business."""
