"""The only files that open or wait on venue sockets."""
