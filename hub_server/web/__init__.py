"""HTTP and WebSocket: routing, validation, permissions and answers, all from one list of operations."""
