"""TensorRT on NVIDIA GPUs: engines loaded and run; the exporter builds them."""
