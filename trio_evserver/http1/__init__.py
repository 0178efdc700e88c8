"""RFC 9112, HTTP/1.1: bytes to messages and back, without I/O."""
