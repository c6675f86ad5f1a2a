"""Between ASGI and the lanes: the gate, the guard, errors in a lane's style, bodies and streams."""
