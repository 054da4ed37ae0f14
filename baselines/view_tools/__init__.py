"""What views are made with: opened images, noise, regions of key objects, a reference model that is attacked."""
