"""A model server: KServe's REST (V1, V2), gRPC and metrics, with limits, and a page for people."""
