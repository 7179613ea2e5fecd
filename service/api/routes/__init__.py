"""One resource a file. Annotations are not deferred here: FastAPI reads them."""
