"""Response bodies in fewer bytes, in an encoding that the client takes."""

from fastapi_baseline.middleware.compression.eligibility import leave_uncompressed
from fastapi_baseline.middleware.compression.layer import CompressionMiddleware

__all__ = ["CompressionMiddleware", "leave_uncompressed"]
