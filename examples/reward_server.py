"""A reward server in Python, without packages: docs/http-rewards.md is the protocol.

    python3 examples/reward_server.py 8000
    rlft run ddpo --reward http://127.0.0.1:8000/score

Put a model of your own in the place of `score`. With numpy the videos of a request are
`numpy.frombuffer(data, numpy.uint8).reshape(shape)`.
"""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INFO = {"version": 1, "name": "warmth", "unit": "1", "summary": "red less blue, -1 to 1", "maxVideos": 64}
MOST_BYTES = 2**28


def score(video, channels, text):
    """Red less blue of one video, given as bytes; the caption is not needed here."""
    pixels = len(video) // channels
    return (sum(video[0::channels]) - sum(video[channels - 1 :: channels])) / pixels / 255


def scores_of(request):
    """A score a video. Raises ValueError saying what is wrong with the request."""
    if not isinstance(request, dict) or request.get("version") != 1:
        raise ValueError("wanted version 1")
    prompts, videos = request.get("prompts"), request.get("videos")
    if not isinstance(prompts, list) or not isinstance(videos, dict):
        raise ValueError("wanted prompts and videos")
    shape = videos.get("shape")
    if videos.get("dtype") != "uint8" or videos.get("encoding") != "base64":
        raise ValueError("wanted uint8 in base64")
    if not isinstance(shape, list) or len(shape) != 5 or not all(type(n) is int and n > 0 for n in shape):
        raise ValueError("wanted a shape [B, F, H, W, C]")
    count, frames, height, width, channels = shape
    if count != len(prompts) or count > INFO["maxVideos"]:
        raise ValueError("wanted a prompt a video, and at most %d" % INFO["maxVideos"])
    data = base64.b64decode(videos.get("data", ""), validate=True)
    size = frames * height * width * channels
    if len(data) != count * size:
        raise ValueError("wanted %d bytes; got %d" % (count * size, len(data)))
    return [score(data[i * size : (i + 1) * size], channels, prompts[i]["text"]) for i in range(count)]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, value):
        # allow_nan=False: JSON has no NaN, and a NaN score must fail here rather than there.
        body = json.dumps(value, allow_nan=False).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, INFO)

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > MOST_BYTES:
            self.close_connection = True
            return self.answer(413, {"version": 1, "error": "wanted a smaller request"})
        try:
            self.answer(200, {"version": 1, "scores": scores_of(json.loads(self.rfile.read(length)))})
        except (ValueError, KeyError, TypeError) as error:
            self.answer(400, {"version": 1, "error": str(error)})

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Handler)
    print("serving http://127.0.0.1:%d/score" % server.server_address[1], flush=True)
    server.serve_forever()
