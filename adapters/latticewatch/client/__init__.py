"""What a scan-control computer imports: pyzmq and msgpack, nothing else of ours."""
