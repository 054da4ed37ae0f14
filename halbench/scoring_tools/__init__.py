"""What suites are built from: text pipeline, yes/no answers, COCO objects, ratios."""
